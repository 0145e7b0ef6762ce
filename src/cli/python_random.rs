//! Python's `random.Random(seed).randint`: the Mersenne Twister that the peers' scripts draw sequence lengths from.
//!
//! The lengths of a variable run must be the same ones for every framework in a table, so the generator is
//! Python's and not ours. It never draws numbers for a model: those come from the library's own streams.

const N: usize = 624;
const M: usize = 397;

/// MT19937 seeded the way CPython seeds it from an integer.
pub struct PythonRandom {
    state: [u32; N],
    at: usize,
}

impl PythonRandom {
    /// `random.Random(seed)` for a seed of at most 64 bits.
    pub fn new(seed: u64) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let key = [low, high];
        Self::by_array(if high == 0 { &key[..1] } else { &key })
    }

    /// The reference implementation's `init_by_array`.
    fn by_array(key: &[u32]) -> Self {
        let mut state = [0u32; N];
        state[0] = 19_650_218;
        for i in 1..N {
            state[i] = mixed(state[i - 1]).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(key.len()) {
            let scrambled = mixed(state[i - 1]).wrapping_mul(1_664_525);
            state[i] = (state[i] ^ scrambled).wrapping_add(key[j]).wrapping_add(j as u32);
            j = (j + 1) % key.len();
            i = wrap(&mut state, i + 1);
        }
        for _ in 1..N {
            let scrambled = mixed(state[i - 1]).wrapping_mul(1_566_083_941);
            state[i] = (state[i] ^ scrambled).wrapping_sub(i as u32);
            i = wrap(&mut state, i + 1);
        }
        state[0] = 0x8000_0000;
        Self { state, at: N }
    }

    /// A uniform integer in `low..=high`, as `randint(low, high)` draws it: the top bits of one word, drawn
    /// again while they are out of range.
    ///
    /// # Panics
    /// When `high < low`; the callers check their bounds where they read them.
    pub fn randint(&mut self, low: u32, high: u32) -> u32 {
        assert!(low <= high, "randint needs low <= high, got {low}..={high}");
        let width = u64::from(high - low) + 1;
        let bits = 64 - width.leading_zeros();
        loop {
            // Width 2^32 needs 33 bits, which Python takes from two words; no caller asks for it.
            let word = u64::from(self.word() >> (32 - bits.min(32)));
            if word < width {
                return low + word as u32;
            }
        }
    }

    fn word(&mut self) -> u32 {
        if self.at == N {
            self.refill();
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn refill(&mut self) {
        for k in 0..N {
            let y = (self.state[k] & 0x8000_0000) | (self.state[(k + 1) % N] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[k] = self.state[(k + M) % N] ^ (y >> 1) ^ odd;
        }
        self.at = 0;
    }
}

fn mixed(word: u32) -> u32 {
    word ^ (word >> 30)
}

/// The seeding's index: past the end it starts again at 1 with the last word copied to the front.
fn wrap(state: &mut [u32; N], i: usize) -> usize {
    if i < N {
        return i;
    }
    state[0] = state[N - 1];
    1
}

#[cfg(test)]
mod tests {
    use super::PythonRandom;

    // Expected values: CPython 3, [random.Random(seed).randint(low, high) for _ in range(n)].
    #[test]
    fn draws_what_python_draws() {
        let draw = |seed, low, high| {
            let mut random = PythonRandom::new(seed);
            (0..10).map(|_| random.randint(low, high)).collect::<Vec<_>>()
        };
        assert_eq!(draw(0, 1, 200), SEED_0_TO_200);
        assert_eq!(draw(0, 1, 3), SEED_0_TO_3);
        assert_eq!(draw(1, 1, 3), SEED_1_TO_3);
        assert_eq!(draw((7 << 32) + 5, 1, 200), SEED_WIDE_TO_200);
        assert_eq!(draw(3, 4, 4), [4; 10]);
    }

    #[test]
    fn stays_python_after_the_state_is_refilled() {
        let mut random = PythonRandom::new(0);
        let sum: u64 = (0..5000).map(|_| u64::from(random.randint(1, 200))).sum();
        assert_eq!(sum, SUM_OF_5000);
    }

    const SEED_0_TO_200: [u32; 10] = [99, 195, 108, 11, 67, 131, 125, 104, 78, 123];
    const SEED_0_TO_3: [u32; 10] = [2, 2, 1, 2, 3, 2, 2, 2, 2, 2];
    const SEED_1_TO_3: [u32; 10] = [1, 3, 1, 2, 1, 2, 2, 2, 3, 2];
    const SEED_WIDE_TO_200: [u32; 10] = [85, 45, 97, 12, 77, 102, 60, 41, 120, 90];
    const SUM_OF_5000: u64 = 502727;
}
