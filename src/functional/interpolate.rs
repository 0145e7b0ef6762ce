//! Resampling of the last axes, one after the other: each result is one element, or a weighted sum of neighbours, of its
//! axis. Where the neighbours lie is computed in operations from the place of the result, in the precision in which
//! PyTorch computes it.

use super::common::{along, can_exist, demand_float, numbers, take, widened};
use super::{try_adaptive_avg_pool1d, try_adaptive_avg_pool2d, try_adaptive_avg_pool3d};
use crate::device;
use crate::error::{Error, Result};
use crate::mode::layout::{are_images, as_images};
use crate::ops::single_node::single;
use crate::ops::twin_fns;
use crate::tensor::Tensor;
use allotrope_ir::DType;

/// How a result is made of its neighbours.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum InterpolateMode {
    /// The element before, as PyTorch's `nearest`.
    #[default]
    Nearest,
    /// The element whose middle is nearest.
    NearestExact,
    /// Between two neighbours, `[n, c, l]`.
    Linear,
    /// Between two neighbours of two axes, `[n, c, h, w]`.
    Bilinear,
    /// Between two neighbours of three axes, `[n, c, d, h, w]`.
    Trilinear,
    /// A cubic through four neighbours of two axes, `[n, c, h, w]`.
    Bicubic,
    /// The mean of what a result covers.
    Area,
}

/// The size wanted and how to get there; PyTorch's defaults. Either `size` or `scale_factor` is given, with a number for
/// each axis behind the channels, or one for all.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct InterpolateOptions {
    pub size: Vec<usize>,
    pub scale_factor: Vec<f64>,
    pub mode: InterpolateMode,
    /// The corner elements keep their place, rather than the outer edges.
    pub align_corners: bool,
    /// Scales are computed anew from the sizes, which were rounded down.
    pub recompute_scale_factor: bool,
}

twin_fns! {
    /// Resamples the axes behind batch and channels: `[n, c, ..] -> [n, c, ..]`. Floats, and bytes where nothing is blended.
    ///
    /// ```
    /// use allotrope::functional::{InterpolateOptions, interpolate};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1.0f32, 2.0], &[1, 1, 2]);
    /// let y = interpolate(&x, &InterpolateOptions { size: vec![4], ..Default::default() });
    /// assert_eq!(y.to_vec::<f32>(), [1.0, 1.0, 2.0, 2.0]);
    /// ```
    fn interpolate / try_interpolate(input: &Tensor, options: &InterpolateOptions) -> Tensor {
        let fail = |why: String| Err(Error::operands("interpolate", why));
        let mode = options.mode;
        let axes = input.dim().saturating_sub(2);
        let fits = match mode {
            InterpolateMode::Linear => axes == 1,
            InterpolateMode::Bilinear | InterpolateMode::Bicubic => axes == 2,
            InterpolateMode::Trilinear => axes == 3,
            _ => (1..=3).contains(&axes),
        };
        if !fits {
            return fail(format!("{mode:?} does not go with an input of shape {:?}", input.shape_hint()));
        }
        let blends = !matches!(mode, InterpolateMode::Nearest | InterpolateMode::NearestExact);
        if blends {
            demand_float("interpolate", input)?;
        } else if !input.dtype().is_float() && input.dtype() != DType::U8 {
            return fail(format!("{mode:?} is not defined for {}; use to(DType::F32) first", input.dtype()));
        }
        if options.align_corners && (!blends || mode == InterpolateMode::Area) {
            return fail(format!("align_corners has no meaning for {mode:?}"));
        }
        let own = numbers(&input.sizes()[2..], "interpolate resamples an axis");
        let (wanted, scales) = sizes(options, &own)?;
        if own.contains(&0) || wanted.contains(&0) {
            return fail(format!("axes of {:?} and results {wanted:?} must not be empty", input.shape_hint()));
        }
        can_exist(input, 2, &wanted)?;
        let some = |i: usize| Some(wanted[i]);
        match (mode, axes) {
            (InterpolateMode::Area, 1) => return try_adaptive_avg_pool1d(input, [some(0)]),
            (InterpolateMode::Area, 2) => return try_adaptive_avg_pool2d(input, [some(0), some(1)]),
            (InterpolateMode::Area, _) => return try_adaptive_avg_pool3d(input, [some(0), some(1), some(2)]),
            _ => {}
        }
        let _entered = device::enter(input.device());
        single(node(mode, axes), &[input], &[], |given| {
        let input = &given[0];
        let mut x = if blends { widened(input)? } else { input.clone() };
        for i in 0..axes {
            let (corners, fused) = (options.align_corners, mode == InterpolateMode::Bilinear);
            let line = Line { axis: 2 + i, n: own[i], out: wanted[i], scale: scales[i], corners, fused };
            x = match mode {
                InterpolateMode::Nearest => line.nearest(&x, 0.0)?,
                InterpolateMode::NearestExact => line.nearest(&x, 0.5)?,
                InterpolateMode::Bicubic => line.cubic(&x)?,
                _ => line.linear(&x)?,
            };
        }
        as_images(x.try_to(input.dtype())?, input.dim() > 3 && are_images(input))
        })
    }
}

/// The node of PyTorch's for so many axes.
fn node(mode: InterpolateMode, axes: usize) -> &'static str {
    match (mode, axes) {
        (InterpolateMode::Nearest, 1) => "UpsampleNearest1DBackward0",
        (InterpolateMode::Nearest, 2) => "UpsampleNearest2DBackward0",
        (InterpolateMode::Nearest, _) => "UpsampleNearest3DBackward0",
        (InterpolateMode::NearestExact, 1) => "UpsampleNearestExact1DBackward0",
        (InterpolateMode::NearestExact, 2) => "UpsampleNearestExact2DBackward0",
        (InterpolateMode::NearestExact, _) => "UpsampleNearestExact3DBackward0",
        (InterpolateMode::Linear, _) => "UpsampleLinear1DBackward0",
        (InterpolateMode::Bilinear, _) => "UpsampleBilinear2DBackward0",
        (InterpolateMode::Trilinear, _) => "UpsampleTrilinear3DBackward0",
        (InterpolateMode::Bicubic, _) => "UpsampleBicubic2DBackward0",
        (InterpolateMode::Area, _) => unreachable!("bug in allotrope: an area is pooled"),
    }
}

/// The sizes of the results, and the scales that places are computed with where the sizes do not say them.
fn sizes(options: &InterpolateOptions, own: &[usize]) -> Result<(Vec<usize>, Vec<Option<f64>>)> {
    let axes = own.len();
    let given = (options.size.len(), options.scale_factor.len());
    let count = given.0 + given.1;
    if (given.0 > 0) == (given.1 > 0) || (count != 1 && count != axes) {
        return Err(Error::operands(
            "interpolate",
            format!(
                "needs either a size or a scale factor, one for each of {axes} axes or one for all; got {:?} and {:?}",
                options.size, options.scale_factor
            ),
        ));
    }
    if given.0 > 0 {
        if options.recompute_scale_factor {
            return Err(Error::operands("interpolate", "recompute_scale_factor needs a scale factor"));
        }
        return Ok(((0..axes).map(|i| options.size[i.min(given.0 - 1)]).collect(), vec![None; axes]));
    }
    let scales: Vec<f64> = (0..axes).map(|i| options.scale_factor[i.min(given.1 - 1)]).collect();
    if scales.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
        return Err(Error::operands("interpolate", format!("scale factors {scales:?} must be above 0")));
    }
    let wanted = (0..axes).map(|i| (own[i] as f64 * scales[i]).floor() as usize).collect();
    let kept = scales.iter().map(|&s| (!options.recompute_scale_factor).then_some(s)).collect();
    Ok((wanted, kept))
}

/// One axis to resample.
struct Line {
    axis: usize,
    n: usize,
    out: usize,
    scale: Option<f64>,
    corners: bool,
    /// Whether PyTorch multiplies and subtracts in one step: a weight of 0 elsewhere is one near 0 then, which an infinity shows.
    fused: bool,
}

impl Line {
    /// The distance between two results in elements, rounded to what places are computed in.
    fn step(&self, dtype: DType) -> f64 {
        if self.corners {
            return match self.out {
                1 => 0.0,
                _ => round((self.n - 1) as f64 / (self.out - 1) as f64, dtype),
            };
        }
        match self.scale {
            Some(s) => round(1.0 / s, dtype),
            None => round(self.n as f64 / self.out as f64, dtype),
        }
    }

    fn nearest(&self, x: &Tensor, shift: f64) -> Result<Tensor> {
        let dtype = if x.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        let at = Tensor::try_arange(self.out)?.try_to(dtype)?.try_add(shift)?.try_mul(self.step(dtype))?;
        take(x, self.axis, &at.try_to(DType::I64)?.try_minimum(self.n as i64 - 1)?)
    }

    /// Where the results lie between the elements.
    fn places(&self, dtype: DType) -> Result<Tensor> {
        let index = Tensor::try_arange(self.out)?.try_to(dtype)?;
        match self.corners {
            true => index.try_mul(self.step(dtype)),
            // In f64 the product is exact, and the difference is rounded once.
            false if self.fused && dtype == DType::F32 => {
                let exact = index.try_to(DType::F64)?.try_add(0.5)?.try_mul(self.step(dtype))?.try_sub(0.5)?;
                exact.try_to(dtype)
            }
            false => index.try_add(0.5)?.try_mul(self.step(dtype))?.try_sub(0.5),
        }
    }

    /// The elements at the places `index + offset`, those outside being the nearest inside.
    fn neighbours(&self, x: &Tensor, index: &Tensor, offset: i64) -> Result<Tensor> {
        take(x, self.axis, &index.try_add(offset)?.try_maximum(0)?.try_minimum(self.n as i64 - 1)?)
    }

    /// A number for each result, to multiply with.
    fn lined(&self, x: &Tensor, weights: &Tensor) -> Result<Tensor> {
        weights.try_reshape(&along(x.dim(), self.axis, self.out))
    }

    fn linear(&self, x: &Tensor) -> Result<Tensor> {
        if self.out == self.n {
            // PyTorch's two neighbours are one element then, whatever the scale, and the second counts 0 times.
            return x.try_add(&x.try_mul(0.0)?);
        }
        let at = self.places(x.dtype())?;
        let at = if self.corners { at } else { at.try_maximum(0.0)? };
        let index = at.try_to(DType::I64)?.try_minimum(self.n as i64 - 1)?;
        let right = at.try_sub(&index.try_to(x.dtype())?)?.try_maximum(0.0)?.try_minimum(1.0)?;
        let left = right.try_neg()?.try_add(1.0)?;
        let (a, b) = (self.neighbours(x, &index, 0)?, self.neighbours(x, &index, 1)?);
        a.try_mul(&self.lined(x, &left)?)?.try_add(&b.try_mul(&self.lined(x, &right)?)?)
    }

    /// Cubic convolution with a = -3/4 (Keys 1981), as PyTorch's.
    fn cubic(&self, x: &Tensor) -> Result<Tensor> {
        let at = self.places(x.dtype())?;
        let floor = at.try_floor()?;
        let index = floor.try_to(DType::I64)?;
        let t = at.try_sub(&floor)?.try_maximum(0.0)?.try_minimum(1.0)?;
        let a = -0.75;
        // ((a + 2) t - (a + 3)) t² + 1 up to a distance of 1, ((a t - 5 a) t + 8 a) t - 4 a up to 2.
        let near = |t: &Tensor| -> Result<Tensor> {
            t.try_mul(a + 2.0)?.try_sub(a + 3.0)?.try_mul(t)?.try_mul(t)?.try_add(1.0)
        };
        let far = |t: &Tensor| -> Result<Tensor> {
            t.try_mul(a)?.try_sub(5.0 * a)?.try_mul(t)?.try_add(8.0 * a)?.try_mul(t)?.try_sub(4.0 * a)
        };
        let u = t.try_neg()?.try_add(1.0)?;
        let weights = [far(&t.try_add(1.0)?)?, near(&t)?, near(&u)?, far(&u.try_add(1.0)?)?];
        let mut sum: Option<Tensor> = None;
        for (i, w) in weights.iter().enumerate() {
            let term = self.neighbours(x, &index, i as i64 - 1)?.try_mul(&self.lined(x, w)?)?;
            sum = Some(match sum {
                None => term,
                Some(s) => s.try_add(&term)?,
            });
        }
        Ok(sum.expect("four neighbours"))
    }
}

fn round(x: f64, dtype: DType) -> f64 {
    if dtype == DType::F64 { x } else { f64::from(x as f32) }
}
