//! Copies of any layout to any layout, iota, and the checks of views.

use crate::common::*;
use allotrope_kernels::{Element, View, ViewError, ViewMut, copy, copy_into, iota};
use half::{bf16, f16};

fn check_copy<T: Element + Sample + Bits>() {
    let mut g = Lcg(3);
    for round in 0..200 {
        let shape = if round % 5 == 0 { vec![g.below(70), g.below(70)] } else { random_shape(&mut g) };
        let x = Array::random(&mut g, &shape, T::odd);
        let mut out = vec![T::default(); shape.iter().product()];
        copy(x.view(), &mut out);
        assert_eq!(bits(&out), bits(&x.elements()), "{x:?}");

        // Into a layout without overlaps: a permuted dense one with gaps.
        let mut y = Array::random(&mut g, &shape, T::plain);
        if y.strides.iter().zip(&shape).any(|(&s, &d)| s == 0 && d > 1) {
            continue;
        }
        let before = y.data.clone();
        let touched: std::collections::HashSet<isize> = indices(&shape)
            .iter()
            .map(|i| y.offset as isize + i.iter().zip(&y.strides).map(|(&i, &s)| i as isize * s).sum::<isize>())
            .collect();
        copy_into(ViewMut::new(&mut y.data, y.offset, &shape, &y.strides).unwrap(), x.view());
        if touched.len() == out.len() {
            assert_eq!(bits(&y.elements()), bits(&out));
        }
        for (i, (a, b)) in before.iter().zip(&y.data).enumerate() {
            assert!(touched.contains(&(i as isize)) || a.bits() == b.bits(), "element {i} lies outside the view");
        }
    }
}

#[test]
fn copies_keep_the_elements() {
    check_copy::<f32>();
    check_copy::<f64>();
    check_copy::<i64>();
    check_copy::<bool>();
    check_copy::<u8>();
    check_copy::<i32>();
    check_copy::<f16>();
    check_copy::<bf16>();
}

#[test]
fn iota_counts() {
    let (mut a, mut b, mut c) = ([0i64; 5], [0f32; 5], [0f64; 3]);
    iota(&mut a);
    iota(&mut b);
    iota(&mut c);
    assert_eq!((a, b, c), ([0, 1, 2, 3, 4], [0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 2.0]));
    let (mut a, mut b, mut c, mut d) = (vec![0u8; 258], [0i32; 3], vec![f16::ZERO; 4098], vec![bf16::ZERO; 260]);
    iota(&mut a);
    iota(&mut b);
    iota(&mut c);
    iota(&mut d);
    assert_eq!(
        (a[257], b[2], c[4097], d[257], d[259]),
        (1, 2, f16::from_f32(4096.0), bf16::from_f32(256.0), bf16::from_f32(260.0))
    );
}

#[test]
fn views_refuse_what_reaches_outside() {
    let x = [0f32; 12];
    let refused = |offset, shape: &[usize], strides: &[isize]| View::new(&x, offset, shape, strides).err();
    assert_eq!(refused(0, &[3, 4], &[4, 1]), None);
    assert_eq!(refused(1, &[3, 4], &[4, 1]), Some(ViewError::OutOfBounds));
    assert_eq!(refused(11, &[12], &[-1]), None);
    assert_eq!(refused(10, &[12], &[-1]), Some(ViewError::OutOfBounds));
    assert_eq!(refused(0, &[1000], &[0]), None);
    assert_eq!(refused(12, &[], &[]), Some(ViewError::OutOfBounds));
    assert_eq!(refused(11, &[], &[]), None);
    assert_eq!(refused(99, &[5, 0], &[1, 1]), None);
    assert_eq!(refused(99, &[0], &[1]), None);
    assert_eq!(refused(0, &[13], &[1]), Some(ViewError::OutOfBounds));
    assert_eq!(refused(usize::MAX, &[1], &[1]), Some(ViewError::OutOfBounds));
    assert_eq!(refused(0, &[2], &[isize::MAX]), Some(ViewError::OutOfBounds));
    assert_eq!(refused(0, &[usize::MAX, 2], &[0, 0]), Some(ViewError::OutOfBounds));
    assert_eq!(refused(0, &[2, 2], &[1]), Some(ViewError::RankMismatch));
    let mut y = [0f32; 4];
    assert_eq!(ViewMut::new(&mut y, 0, &[2], &[0]).err(), Some(ViewError::Overlapping));
    assert!(ViewMut::new(&mut y, 0, &[1], &[0]).is_ok());
}
