//! Matrix products: the sum of chains of fused multiply-adds, bit for bit, whatever the layout, size, blocking and threads.

use crate::common::*;
use allotrope_kernels::{Element, matmul, set_num_threads, table_for};

pub trait Chain: Element + Sample + Bits {
    fn chain(self, a: Self, b: Self) -> Self;
    fn plus(self, b: Self) -> Self;
}
impl Chain for f32 {
    fn chain(self, a: f32, b: f32) -> f32 {
        a.mul_add(b, self)
    }
    fn plus(self, b: f32) -> f32 {
        self + b
    }
}
impl Chain for f64 {
    fn chain(self, a: f64, b: f64) -> f64 {
        a.mul_add(b, self)
    }
    fn plus(self, b: f64) -> f64 {
        self + b
    }
}
macro_rules! int_chains {
    ($($t:ty),+) => {$( impl Chain for $t {
        fn chain(self, a: $t, b: $t) -> $t {
            self.wrapping_add(a.wrapping_mul(b))
        }
        fn plus(self, b: $t) -> $t {
            self.wrapping_add(b)
        }
    } )+};
}
int_chains!(u8, i32, i64);

/// The sum of chains of 256 steps; `at(p)` gives the factors of a step.
pub fn element<T: Chain>(k: usize, at: impl Fn(usize) -> (T, T)) -> T {
    let chain = |from: usize| {
        (from..k.min(from + 256)).fold(T::default(), |acc, p| {
            let (a, b) = at(p);
            acc.chain(a, b)
        })
    };
    (256..k).step_by(256).fold(chain(0), |sum, from| sum.plus(chain(from)))
}

fn expected<T: Chain>(a: &Array<T>, b: &Array<T>) -> Vec<T> {
    let r = a.shape.len();
    let (m, k, n) = (a.shape[r - 2], a.shape[r - 1], b.shape[r - 1]);
    let mut out = vec![];
    for batch in indices(&a.shape[..r - 2]) {
        for i in 0..m {
            for j in 0..n {
                out.push(element(k, |p| {
                    (a.at(&[&batch[..], &[i, p]].concat()), b.at(&[&batch[..], &[p, j]].concat()))
                }));
            }
        }
    }
    out
}

fn check<T: Chain>(seed: u64, batch: &[usize], m: usize, k: usize, n: usize, fill: fn(&mut Lcg) -> T) {
    let mut g = Lcg(seed);
    let a = Array::random(&mut g, &[batch, &[m, k]].concat(), fill);
    let b = Array::random(&mut g, &[batch, &[k, n]].concat(), fill);
    let got = at_each_level(|| {
        let mut out = vec![T::default(); batch.iter().product::<usize>() * m * n];
        matmul(a.view(), b.view(), &mut out);
        bits(&out)
    });
    assert!(got == bits(&expected(&a, &b)), "{batch:?} {m} {k} {n} {:?} {:?}", a.strides, b.strides);
}

fn check_sizes<T: Chain>() {
    let sizes = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 64, 65, 100, 130];
    let mut g = Lcg(11);
    for seed in 0..250 {
        let mut pick = || sizes[g.below(sizes.len())];
        let (m, k, n) = (pick(), pick(), pick());
        check::<T>(seed, &[], m, k, n, if seed % 4 == 0 { T::odd } else { T::plain });
    }
    for seed in 0..40 {
        let mut pick = || [1, 2, 3, 5, 9][g.below(5)];
        let batch = [pick(), pick()];
        check::<T>(seed, &batch[..1 + seed as usize % 2], pick() * 3, pick() * 4, pick() * 7, T::plain);
    }
}

#[test]
fn products_are_their_chains() {
    check_sizes::<f32>();
    check_sizes::<f64>();
    check_sizes::<i64>();
    check_sizes::<i32>();
    check_sizes::<u8>();
}

#[test]
fn large_products_are_their_chains_for_any_number_of_threads() {
    for threads in [1, 2, 3, 0] {
        set_num_threads(threads);
        check::<f32>(1, &[], 263, 517, 131, f32::plain);
        check::<f32>(2, &[], 150, 300, 170, f32::plain);
        check::<f64>(3, &[], 149, 301, 99, f64::plain);
        check::<i64>(4, &[], 150, 258, 70, i64::plain);
        // Few elements of many chains, which threads share.
        check::<f32>(6, &[], 16, 5133, 60, f32::plain);
    }
    check::<f32>(5, &[], 64, 30, 4200, f32::plain);
}

/// More chains than wait for one another at a time.
#[test]
fn chains_side_by_side_are_added_in_order() {
    let (m, k, n) = (64, 20 * 256 + 7, 1000);
    let mut g = Lcg(8);
    let (a, b) = (Array::random(&mut g, &[m, k], f32::plain), Array::random(&mut g, &[k, n], f32::plain));
    let product = |threads: usize| {
        set_num_threads(threads);
        let mut out = vec![0.0; m * n];
        matmul(a.view(), b.view(), &mut out);
        bits(&out)
    };
    let alone = product(1);
    assert!([2, 3, 0].into_iter().all(|threads| product(threads) == alone));
}

/// Lengths around one chain, two and three, in every way a product is computed: rows, columns, small, packed.
#[test]
fn long_products_are_sums_of_chains() {
    for (seed, k) in [255, 256, 257, 511, 512, 513, 700, 1024].into_iter().enumerate() {
        for (m, n) in [(1, 1), (1, 40), (40, 1), (3, 5), (9, 70), (20, 3), (50, 66)] {
            check::<f32>(seed as u64, &[], m, k, n, if seed % 2 == 0 { f32::odd } else { f32::plain });
            check::<f64>(seed as u64, &[2], m, k, n, f64::plain);
        }
    }
}

type Call<'a, T> = &'a dyn Fn(usize, usize, usize, *const T, isize, isize, *const T, isize, isize, *mut T, isize, u32);

/// Raw calls with every combination of layouts, plain and accumulating, into rows with gaps.
fn check_raw<T: Chain>(call: Call<T>, m: usize, n: usize, k: usize) {
    let mut g = Lcg((m * 1000 + n * 10 + k) as u64);
    let (a, b): (Vec<T>, Vec<T>) = (odd(&mut g, m * k), odd(&mut g, k * n));
    let old: Vec<T> = odd(&mut g, m * (n + 3));
    for layout in 0..8 {
        let accumulate = layout & 4;
        let (a_rs, a_cs) = if layout & 1 == 0 { (k, 1) } else { (1, m) };
        let (b_rs, b_cs) = if layout & 2 == 0 { (n, 1) } else { (1, k) };
        let mut c = old.clone();
        let (ai, bi) = (a.as_ptr(), b.as_ptr());
        let gap = if m > 1 && n == 1 && layout & 1 == 0 { 1 } else { n + 3 };
        call(
            m,
            n,
            k,
            ai,
            a_rs as isize,
            a_cs as isize,
            bi,
            b_rs as isize,
            b_cs as isize,
            c.as_mut_ptr(),
            gap as isize,
            accumulate,
        );
        let mut want = old.clone();
        for i in 0..m {
            for j in 0..n {
                let acc = element(k, |p| (a[i * a_rs + p * a_cs], b[p * b_rs + j * b_cs]));
                let at = i * gap + j;
                want[at] = if accumulate != 0 { want[at].plus(acc) } else { acc };
            }
        }
        assert!(bits(&c) == bits(&want), "{m} {n} {k} layout {layout}");
    }
}

#[test]
fn raw_calls_accumulate_and_keep_gaps() {
    let mut sizes = vec![
        (1, 32, 32),
        (32, 32, 1),
        (1, 40, 0),
        (5, 7, 0),
        (37, 1, 50),
        (33, 1, 1),
        (260, 40, 300),
        (1, 20, 600),
        (7, 1, 513),
    ];
    let mut g = Lcg(77);
    for _ in 0..40 {
        sizes.push((1 + g.below(20), 1 + g.below(70), g.below(40)));
    }
    sizes.push((70, 65, 61));
    sizes.push((1, 300, 20));
    for level in levels() {
        let t = table_for(level).unwrap();
        for &(m, n, k) in &sizes {
            // SAFETY: `check_raw` passes matrices of these sizes.
            check_raw::<f32>(
                &|m, n, k, a, ar, ac, b, br, bc, c, cr, acc| unsafe {
                    (t.matmul_f32)(m, n, k, a, ar, ac, b, br, bc, c, cr, acc)
                },
                m,
                n,
                k,
            );
            // SAFETY: as above.
            check_raw::<f64>(
                &|m, n, k, a, ar, ac, b, br, bc, c, cr, acc| unsafe {
                    (t.matmul_f64)(m, n, k, a, ar, ac, b, br, bc, c, cr, acc)
                },
                m,
                n,
                k,
            );
            // SAFETY: as above.
            check_raw::<i64>(
                &|m, n, k, a, ar, ac, b, br, bc, c, cr, acc| unsafe {
                    (t.matmul_i64)(m, n, k, a, ar, ac, b, br, bc, c, cr, acc)
                },
                m,
                n,
                k,
            );
        }
    }
}

#[test]
fn direct_entries_are_the_general_ones() {
    let mut g = Lcg(5);
    for level in levels() {
        let t = table_for(level).unwrap();
        for _ in 0..60 {
            let (n, k) = (1 + g.below(150), g.below(50));
            let (x, b): (Vec<f32>, Vec<f32>) = (odd(&mut g, k), odd(&mut g, k * n));
            let (mut c, mut d) = (vec![9.0; n], vec![8.0; n]);
            // SAFETY: sizes as allocated.
            unsafe {
                (t.matvec_f32)(n, k, x.as_ptr(), b.as_ptr(), n as isize, c.as_mut_ptr());
                let ks = k as isize;
                (t.matmul_f32)(1, n, k, x.as_ptr(), ks, 1, b.as_ptr(), n as isize, 1, d.as_mut_ptr(), n as isize, 0);
            }
            assert_eq!(bits(&c), bits(&d));
            let (m, n) = (1 + g.below(40), 1 + g.below(70));
            let (a, b): (Vec<f32>, Vec<f32>) = (odd(&mut g, m), odd(&mut g, n));
            let mut c: Vec<f32> = odd(&mut g, m * n);
            let mut d = c.clone();
            for i in 0..m {
                for j in 0..n {
                    d[i * n + j] += a[i].mul_add(b[j], 0.0);
                }
            }
            // SAFETY: sizes as allocated.
            unsafe { (t.rank1_acc_f32)(m, n, a.as_ptr(), b.as_ptr(), c.as_mut_ptr(), n as isize) };
            assert_eq!(bits(&c), bits(&d));
        }
    }
}
