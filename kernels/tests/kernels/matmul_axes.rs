//! Products whose rows, columns and steps are several axes of memory: the bits of the definition, wherever elements lie.

use crate::common::*;
use crate::matmul::{Chain, element};
use allotrope_kernels::{matmul_axes, set_num_threads, table_for};

/// An operand: some memory, and where the elements of its rows and columns lie.
struct Operand<T> {
    array: Array<T>,
    rows: usize,
}

impl<T: Chain> Operand<T> {
    /// Where row `i` and column `j` lie is said by the two indices that count through their axes.
    fn at(&self, i: usize, j: usize) -> T {
        let (rows, columns) = self.array.shape.split_at(self.rows);
        self.array.at(&[counted(i, rows), counted(j, columns)].concat())
    }

    /// The windows of `[c, n, h, w]` as `[c, kh, kw | n, oh, ow]`, dilated and some elements apart.
    fn windows(
        g: &mut Lcg,
        [c, n, kh, kw, oh, ow]: [usize; 6],
        step: usize,
        dilation: usize,
        fill: fn(&mut Lcg) -> T,
    ) -> Self {
        let (h, w) = ((oh - 1) * step + (kh - 1) * dilation + 1, (ow - 1) * step + (kw - 1) * dilation + 1);
        let data: Vec<T> = (0..c * n * h * w).map(|_| fill(g)).collect();
        let (w, step, dilation) = (w as isize, step as isize, dilation as isize);
        let plane = h as isize * w;
        let strides = vec![plane, dilation * w, dilation, c as isize * plane, step * w, step];
        Operand { array: Array { data, offset: 0, shape: vec![c, kh, kw, n, oh, ow], strides }, rows: 3 }
    }

    fn random(g: &mut Lcg, rows: &[usize], columns: &[usize], fill: fn(&mut Lcg) -> T) -> Self {
        Operand { array: Array::random(g, &[rows, columns].concat(), fill), rows: rows.len() }
    }

    /// Columns as rows.
    fn transposed(self) -> Self {
        let Operand { mut array, rows } = self;
        array.shape.rotate_left(rows);
        array.strides.rotate_left(rows);
        Operand { rows: array.shape.len() - rows, array }
    }

    fn sizes(&self) -> (usize, usize) {
        let (rows, columns) = self.array.shape.split_at(self.rows);
        (rows.iter().product(), columns.iter().product())
    }

    fn words(&self) -> Vec<usize> {
        let counts = [self.rows, self.array.shape.len() - self.rows];
        counts
            .into_iter()
            .chain(self.array.shape.iter().copied())
            .chain(self.array.strides.iter().map(|&s| s as usize))
            .collect()
    }
}

fn counted(mut i: usize, sizes: &[usize]) -> Vec<usize> {
    let mut index = vec![0; sizes.len()];
    for d in (0..sizes.len()).rev() {
        index[d] = i % sizes[d];
        i /= sizes[d];
    }
    index
}

fn check<T: Chain>(a: &Operand<T>, b: &Operand<T>) {
    let ((m, k), (steps, n)) = (a.sizes(), b.sizes());
    assert_eq!(k, steps);
    // In rows and columns of their own, where they are found at once.
    let left: Vec<T> = (0..m * k).map(|e| a.at(e / k, e % k)).collect();
    let right: Vec<T> = (0..n * k).map(|e| b.at(e % k, e / k)).collect();
    let want: Vec<T> = (0..m * n).map(|e| element(k, |p| (left[e / n * k + p], right[e % n * k + p]))).collect();
    let got = at_each_level(|| {
        let mut out = vec![T::default(); m * n];
        matmul_axes(a.array.view(), a.rows, b.array.view(), b.rows, &mut out);
        bits(&out)
    });
    assert!(
        got == bits(&want),
        "{:?} {:?} of {:?} {:?}",
        a.array.shape,
        a.array.strides,
        b.array.shape,
        b.array.strides
    );
}

/// The three products of a convolution: with the windows, with their transpose on either side.
fn convolution<T: Chain>(
    seed: u64,
    sizes: [usize; 6],
    step: usize,
    dilation: usize,
    out: usize,
    fill: fn(&mut Lcg) -> T,
) {
    let mut g = Lcg(seed);
    let [c, n, kh, kw, oh, ow] = sizes;
    let windows = || Operand::windows(&mut Lcg(seed + 1), sizes, step, dilation, fill);
    let weights = Operand::random(&mut g, &[out], &[c, kh, kw], fill);
    check(&weights, &windows());
    check(&windows().transposed(), &Operand::random(&mut g, &[c * kh * kw], &[out], fill));
    // The gradient of what lies sample by sample.
    let gradient = Operand::random(&mut g, &[out], &[n, oh, ow], fill);
    check(&gradient, &windows().transposed());
    check(&windows(), &gradient.transposed());
}

#[test]
fn windows_are_read_where_they_lie() {
    for threads in [1, 2, 3, 0] {
        set_num_threads(threads);
        convolution::<f32>(1, [3, 4, 5, 5, 14, 14], 1, 1, 17, f32::plain);
        convolution::<f32>(2, [1, 5, 5, 5, 28, 28], 1, 1, 16, f32::plain);
        convolution::<f32>(3, [20, 2, 3, 5, 9, 35], 1, 1, 48, f32::odd);
        convolution::<f64>(4, [4, 3, 3, 3, 11, 10], 2, 1, 20, f64::plain);
        convolution::<f32>(5, [4, 3, 2, 3, 11, 16], 1, 3, 20, f32::plain);
    }
    convolution::<f64>(6, [40, 7, 3, 3, 5, 40], 1, 1, 13, f64::odd);
    convolution::<i64>(7, [9, 3, 5, 7, 8, 18], 2, 2, 18, i64::plain);
    convolution::<i32>(8, [2, 3, 5, 5, 20, 31], 1, 1, 5, i32::odd);
    convolution::<u8>(9, [2, 1, 5, 5, 20, 31], 1, 1, 5, u8::odd);
    // One output channel, one window, windows of one element.
    convolution::<f32>(10, [3, 2, 3, 3, 7, 40], 1, 1, 1, f32::plain);
    convolution::<f32>(11, [3, 1, 3, 3, 1, 1], 1, 1, 4, f32::plain);
    convolution::<f32>(12, [33, 2, 1, 1, 20, 21], 2, 1, 40, f32::plain);
}

#[test]
fn axes_lie_anywhere() {
    fn each<T: Chain>(fill: fn(&mut Lcg) -> T) {
        let mut g = Lcg(21);
        for turn in 0..120 {
            let mut pick = |most: usize| -> Vec<usize> {
                let axes = 1 + g.below(3);
                (0..axes).map(|_| [1, 2, 3, 5, 8, 17][g.below(most)]).collect()
            };
            let (m, k, n) = (pick(6), pick(6), pick(if turn % 4 == 0 { 6 } else { 4 }));
            // The steps may be other axes of one operand than of the other.
            let steps = [k.iter().product::<usize>()];
            let (a, b) = match g.below(3) {
                0 => (&k[..], &k[..]),
                1 => (&steps[..], &k[..]),
                _ => (&k[..], &steps[..]),
            };
            if m.iter().chain(&n).chain(&k).product::<usize>() > 1 << 18 {
                continue;
            }
            let (a, b) = (Operand::random(&mut g, &m, a, fill), Operand::random(&mut g, b, &n, fill));
            check(&a, &b);
        }
    }
    each::<f32>(f32::odd);
    each::<f64>(f64::plain);
    each::<i64>(i64::odd);
    each::<u8>(u8::plain);
}

#[test]
fn products_of_axes_accumulate_into_rows_with_gaps() {
    let mut g = Lcg(31);
    for level in levels() {
        let table = table_for(level).unwrap();
        for (m, k, n) in [
            ([2, 3], [2, 20], [3, 7]),
            ([4, 5], [7, 75], [5, 14]),
            ([1, 1], [1, 9], [3, 33]),
            ([3, 13], [0, 2], [2, 2]),
            ([5, 4], [3, 200], [1, 1]),
        ] {
            let (a, b) = (Operand::random(&mut g, &m, &k, f32::plain), Operand::random(&mut g, &k, &n, f32::plain));
            let [m, k, n] = [m, k, n].map(|d: [usize; 2]| d[0] * d[1]);
            let row = if n == 1 { 1 } else { n + 3 };
            let old: Vec<f32> = plain(&mut g, m * row);
            for accumulate in [0, 1] {
                let mut c = old.clone();
                let (aw, bw) = (a.words(), b.words());
                let (av, bv) = (&a.array.data[a.array.offset..], &b.array.data[b.array.offset..]);
                // SAFETY: operands and words of these sizes, and `m` rows of `row` elements.
                unsafe {
                    let c = c.as_mut_ptr();
                    (table.matmul_axes_f32)(
                        m,
                        n,
                        k,
                        av.as_ptr(),
                        aw.as_ptr(),
                        bv.as_ptr(),
                        bw.as_ptr(),
                        c,
                        row as isize,
                        accumulate,
                    );
                }
                let mut want = old.clone();
                for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                    let sum = element(k, |p| (a.at(i, p), b.at(p, j)));
                    want[i * row + j] = if accumulate != 0 { old[i * row + j] + sum } else { sum };
                }
                assert!(bits(&c) == bits(&want), "{level:?} {m} {n} {k}");
            }
        }
    }
}
