//! What lies pixel by pixel (all channels of one pixel together), or turned in another way, through paddings, pools and shuffles: the
//! strides of PyTorch's results, eagerly and in traces.

use allotrope::functional::{
    MaxPoolOptions, PadMode, max_pool1d, max_pool1d_with_indices, pad, pixel_shuffle, pixel_unshuffle,
};
use allotrope::prelude::*;

/// A tensor of this shape, all channels of one pixel together.
fn pixels(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    let x = Tensor::from_vec((0..n).map(|i| i as f32).collect(), shape);
    x.movedim(&[1], &[-1]).contiguous().movedim(&[-1], &[1])
}

#[track_caller]
fn lies(x: &Tensor, f: impl Fn(&Tensor) -> Tensor, strides: &[isize]) {
    let plain = f(&x.contiguous());
    let eager = f(x);
    let traced = trace(|x: &Tensor| f(x)).call(x).unwrap();
    let dynamic = trace_dynamic(|x: &Tensor| f(x)).call(x).unwrap();
    for (mode, y) in [("eager", eager), ("trace", traced), ("trace_dynamic", dynamic)] {
        assert_eq!(&y.strides()[..], strides, "{mode}");
        assert_eq!(y.detach().contiguous().to_vec::<f32>(), plain.detach().to_vec::<f32>(), "{mode}");
    }
}

#[test]
fn padding() {
    let matrix = pixels(&[5, 2]);
    let row = pixels(&[2, 4, 3]);
    let image = pixels(&[2, 3, 2, 2]);
    for mode in [PadMode::Replicate, PadMode::Reflect, PadMode::Circular] {
        lies(&matrix, |x| pad(x, &[0, 0], mode), &[2, 1]);
        lies(&matrix, |x| pad(x, &[1, 0], mode), &[3, 1]);
        lies(&row, |x| pad(x, &[0, 0], mode), &[12, 3, 1]);
        lies(&row, |x| pad(x, &[1, 0], mode), &[16, 4, 1]);
    }
    for mode in [PadMode::Replicate, PadMode::Reflect] {
        lies(&image, |x| pad(x, &[0, 0, 0, 0], mode), &[12, 1, 6, 3]);
        lies(&image, |x| pad(x, &[1, 0, 0, 0], mode), &[18, 1, 9, 3]);
    }
    lies(&image, |x| pad(x, &[0, 0, 0, 0], PadMode::Circular), &[12, 4, 2, 1]);
    lies(&image, |x| pad(x, &[0, 0, 0, 0], PadMode::Zeros), &[12, 1, 6, 3]);
}

/// PyTorch has another kernel where no gradient and no places are asked for.
#[test]
fn max_pooling_of_rows() {
    let row = pixels(&[2, 3, 4]);
    let options = MaxPoolOptions::default();
    lies(&row, |x| max_pool1d(x, [2], options), &[6, 2, 1]);
    lies(&row, |x| max_pool1d_with_indices(x, [2], options).0, &[6, 1, 3]);
    lies(&row.requires_grad(), |x| max_pool1d(x, [2], options), &[6, 1, 3]);
}

#[test]
fn shuffling_pixels() {
    lies(&pixels(&[2, 8, 2, 2]), |x| pixel_shuffle(x, 2), &[32, 1, 8, 2]);
    lies(&pixels(&[2, 3, 4, 4]), |x| pixel_shuffle(x, 1), &[48, 1, 12, 3]);
    lies(&pixels(&[2, 3, 4, 4]), |x| pixel_unshuffle(x, 2), &[48, 1, 24, 12]);
    lies(&pixels(&[8, 2, 2]), |x| pixel_shuffle(x, 2), &[16, 4, 1]);
}
