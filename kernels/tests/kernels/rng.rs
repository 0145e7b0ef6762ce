//! The random streams against PyTorch 2.15's (CPU, one thread): integers and orders to the last bit, floats to 1e-6.

use allotrope_kernels::rng::*;

trait Number: Copy {
    fn number(self) -> f64;
}
impl Number for f32 {
    fn number(self) -> f64 {
        self as f64
    }
}
impl Number for f64 {
    fn number(self) -> f64 {
        self
    }
}
impl Number for bool {
    fn number(self) -> f64 {
        self as u8 as f64
    }
}

#[track_caller]
fn near<T: Number>(got: &[T], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g.number() - w).abs() <= 1e-6 * w.abs(), "{i}: {} instead of {w}", g.number());
    }
}

fn rand(g: &mut Mt19937, n: usize) -> Vec<f32> {
    let mut x = vec![0.0; n];
    uniform_f32(g, &mut x, 0.0, 1.0);
    x
}
fn randn(g: &mut Mt19937, n: usize) -> Vec<f32> {
    let mut x = vec![0.0; n];
    normal_f32(g, &mut x, 0.0, 1.0);
    x
}
fn randn64(g: &mut Mt19937, n: usize) -> Vec<f64> {
    let mut x = vec![0.0; n];
    normal_f64(g, &mut x, 0.0, 1.0);
    x
}
fn integers(g: &mut Mt19937, low: i64, high: i64, n: usize) -> Vec<i64> {
    let mut x = vec![0; n];
    randint(g, &mut x, low, high);
    x
}

/// One stream after the other from one generator, so that each also checks what those before consumed.
#[test]
fn streams_of_seed_1() {
    let g = &mut Mt19937::new(1);
    near(&rand(g, 5), &[0.757_631_6, 0.279_310_88, 0.403_069_26, 0.734_684_47, 0.029_281_557]);
    near(&randn(g, 5), &[-0.214_758_55, 0.158_374_71, -0.661_668_24, -0.042_561_293, -1.332_780_4]);
    let want = [
        -1.160_761_5,
        0.699_542_4,
        0.199_081_63,
        0.865_692_4,
        0.045_702_778,
        0.152_956_92,
        -0.475_678_8,
        -1.882_142_5,
        -0.776_545_05,
        2.024_202,
        -0.086_541_2,
        0.098_123_536,
        -1.037_338_7,
        1.574_798_1,
        -0.629_847_23,
        2.406_978,
        0.278_566_24,
        0.246_752_92,
        1.184_326_6,
        -0.728_213_73,
    ];
    near(&randn(g, 20), &want);
    assert_eq!(integers(g, 0, 100, 8), [20, 21, 23, 11, 94, 37, 8, 46]);
    let mut p = [0; 12];
    randperm(g, &mut p);
    assert_eq!(p, [7, 8, 10, 6, 5, 0, 11, 9, 1, 2, 3, 4]);
    near(&rand(g, 3), &[0.744_236_7, 0.528_504_97, 0.664_172_4]);
    near(
        &randn64(g, 4),
        &[0.516_132_533_569_093_7, 2.073_144_153_891_41, -1.957_754_835_814_569_5, 2.823_822_910_874_728],
    );
    let mut b = [false; 10];
    bernoulli_each_f32(g, &[0.3; 10], &mut b);
    near(&b, &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
}

/// The mask of `dropout(ones(16), 0.5)`: one probability for all takes another stream than one for each.
#[test]
fn one_probability_for_all() {
    let mut b = [false; 16];
    bernoulli(&mut Mt19937::new(1), &mut b, 0.5);
    near(&b, &[1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
}

/// The weights of `nn.Linear(3, 2)`: uniform within 1/sqrt(3), to the last bit.
#[test]
fn uniform_in_a_range() {
    let g = &mut Mt19937::new(1);
    let mut w = [0.0; 6];
    let bound = 1.0 / 3f32.sqrt();
    uniform_f32(g, &mut w, -bound, bound);
    let want = [
        0.297_487_348_318_1_f64,
        -0.254_829_823_970_794_7,
        -0.111_925_981_938_838_96,
        0.270_990_282_297_134_4,
        -0.543_538_808_822_631_8,
        0.346_246_927_976_608_3,
    ];
    assert_eq!(w.map(|v| v as f64), want);
}

/// An odd number of scalar normals leaves one behind, whatever type asks next; large fills leave it alone.
#[test]
fn the_second_normal_is_kept() {
    let g = &mut Mt19937::new(9);
    near(&randn(g, 3), &[0.044_727_538, 1.911_239, -0.231_030_9]);
    near(&randn64(g, 2), &[0.345_928_151_670_695_46, 1.318_028_230_196_265_4]);
    near(&rand(g, 1), &[0.138_095_57]);
    near(&randn(g, 1), &[0.369_637_01]);
    near(&randn(g, 20)[..3], &[0.295_559_64, 1.018_662, -0.133_592_74]);
    near(&randn(g, 1), &[-1.284_787_7]);
    assert_ne!(*g, Mt19937::new(9));
}

#[test]
fn sizes_around_the_groups_of_16() {
    let g = &mut Mt19937::new(42);
    let want = [
        1.926_915_3,
        -0.159_597_47,
        -0.497_397_54,
        0.439_589_26,
        -0.758_131_15,
        1.078_317_6,
        0.800_800_56,
        1.680_620_6,
        0.355_859_9,
        1.296_422_8,
        0.610_466_5,
        1.334_737_8,
        -0.231_624_32,
        0.041_759_49,
        -0.251_575_3,
        0.859_858_5,
        -0.309_726_77,
    ];
    near(&randn(g, 17), &want);
    assert_eq!(integers(g, 0, 1 << 40, 3), [247066947605, 1084186948331, 379207941680]);
    let mut p = [0; 9];
    randperm(g, &mut p);
    assert_eq!(p, [3, 0, 1, 4, 8, 2, 5, 6, 7]);

    let x = randn(&mut Mt19937::new(42), 1000);
    near(&x[496..499], &[1.179_942, -0.331_427_8, 0.649_504_24]);
    near(&x[984..988], &[-0.413_708_3, -0.528_539_36, -0.508_179_2, 1.147_783]);

    let x = randn64(&mut Mt19937::new(7), 17);
    let want = [0.066_267_539_664_499_43, -0.291_041_470_959_389_15, 0.458_016_953_587_029_93];
    near(&x[..3], &want);
    near(&[x[8], x[15], x[16]], &[-1.313_149_657_829_289_2, 0.452_575_502_101_029_54, -1.667_729_134_232_876_6]);

    let g = &mut Mt19937::new(7);
    near(&randn(g, 2), &[-0.146_795_1, 0.786_141_3]);
    near(&randn(g, 15)[13..], &[1.347_022_7, 2.438_208]);
    near(&randn(g, 16)[..2], &[0.957_102_2, -0.661_867_56]);
    near(&randn(g, 31)[29..], &[-1.536_568_6, -0.557_684_06]);
}

/// The reference implementation's first words, and a generator restored in the middle.
#[test]
fn the_engine_is_mt19937() {
    let mut g = Mt19937::new(5489);
    assert_eq!(g.random(), 3499211612);
    for _ in 1..9999 {
        g.random();
    }
    assert_eq!(g.random(), 4123659995, "the 10000th word, as the C++ standard gives it");
    let mut kept = g.clone();
    assert_eq!(randn(&mut g, 33), randn(&mut kept, 33));
    assert_eq!(g, kept);
    g.random();
    assert_ne!(g, kept);
    assert_eq!(Mt19937::new(1 << 32 | 3).random(), Mt19937::new(3).random());
    assert_eq!(Mt19937::new(1 << 32 | 3).seed(), 1 << 32 | 3);
}

#[test]
fn normals_have_the_same_bits_at_each_level() {
    crate::common::at_each_level(|| {
        let x = randn(&mut Mt19937::new(3), 1007);
        x.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    });
}

#[test]
fn integer_ranges_at_their_limits() {
    let g = &mut Mt19937::new(0);
    assert!(integers(g, -3, -2, 5).iter().all(|&v| v == -3));
    assert!(integers(g, i64::MIN, i64::MAX, 50).iter().any(|&v| v < 0));
    randperm(g, &mut []);
    let mut one = [7];
    randperm(g, &mut one);
    assert_eq!(one, [0]);
}
