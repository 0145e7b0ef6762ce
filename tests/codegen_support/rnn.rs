//! The training step of a recurrent network as one graph: forward loop, loss, backward loop, Adam on every parameter.
#![allow(dead_code)]

use super::codegen_support::inputs;
use allotrope_ir::*;

const H: usize = 32;

struct B {
    g: Graph,
}

impl B {
    fn op(&mut self, op: Op, args: &[Value]) -> Value {
        self.g.op(op, args).unwrap()
    }
    fn bin(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        self.op(Op::Binary(op), &[a, b])
    }
    fn un(&mut self, op: UnaryOp, a: Value) -> Value {
        self.op(Op::Unary(op), &[a])
    }
    fn like(&mut self, c: Value, x: Value) -> Value {
        let shape = self.g.ty(x).shape.clone();
        if self.g.ty(c).shape == shape { c } else { self.op(Op::Broadcast(shape), &[c]) }
    }
    fn f32(&mut self, x: f32) -> Value {
        self.g.constant(Scalar::F32(x))
    }
    fn scaled(&mut self, x: Value, c: Value) -> Value {
        let c = self.like(c, x);
        self.bin(BinaryOp::Mul, x, c)
    }
    fn t(&mut self, x: Value) -> Value {
        self.op(Op::Permute(Axes::from_slice(&[1, 0])), &[x])
    }
    fn reshape(&mut self, x: Value, shape: &[&Dim]) -> Value {
        self.op(Op::Reshape(shape.iter().map(|d| (*d).clone()).collect()), &[x])
    }
    fn sum(&mut self, x: Value, axes: &[usize]) -> Value {
        self.op(Op::Reduce { op: ReduceOp::Sum, axes: Axes::from_slice(axes) }, &[x])
    }
}

/// The step for `t` points of `b` sequences.
pub fn step(t: Dim, b: Dim) -> Graph {
    let mut s = B { g: Graph::new() };
    let d = Dim::fixed;
    let f = |dims: &[&Dim]| Type::new(DType::F32, dims.iter().map(|d| (*d).clone()));
    let (h, one) = (&d(H), &d(1));
    let tb = &(&t * &b);
    let (t, b) = (&t, &b);
    let x = s.g.input(f(&[t, b, one]), InputKind::Arg, "x");
    let y = s.g.input(f(&[t, b, one]), InputKind::Arg, "y");
    let h0 = s.g.input(f(&[b, h]), InputKind::Arg, "h");
    let shapes: [&[&Dim]; 6] = [&[h, one], &[h, h], &[h], &[h], &[one, h], &[one]];
    let names = ["w_ih", "w_hh", "b_ih", "b_hh", "w_o", "b_o"];
    let state = |s: &mut B, kind: &str| -> Vec<Value> {
        names.iter().zip(shapes).map(|(n, sh)| s.g.input(f(sh), InputKind::State, format!("{n}{kind}"))).collect()
    };
    let p = state(&mut s, "");
    let m = state(&mut s, ".m");
    let v = state(&mut s, ".v");
    let count = s.g.input(f(&[]), InputKind::State, "count");

    // Forward.
    let x2 = s.reshape(x, &[tb, one]);
    let w_ih_t = s.t(p[0]);
    let xp = s.op(Op::Matmul, &[x2, w_ih_t]);
    let bias = s.bin(BinaryOp::Add, p[2], p[3]);
    let bias = s.like(bias, xp);
    let xp = s.bin(BinaryOp::Add, xp, bias);
    let xp = s.reshape(xp, &[t, b, h]);
    let w_hh_t = s.t(p[1]);
    let body = {
        let mut s = B { g: Graph::new() };
        let hp = s.g.input(f(&[b, h]), InputKind::Arg, "h");
        let xp = s.g.input(f(&[b, h]), InputKind::Arg, "x");
        let w = s.g.input(f(&[h, h]), InputKind::Arg, "w");
        let z = s.op(Op::Matmul, &[hp, w]);
        let z = s.bin(BinaryOp::Add, xp, z);
        let hn = s.un(UnaryOp::Tanh, z);
        [hn, hn, hp].into_iter().for_each(|v| s.g.output(v));
        s.g
    };
    let scan = Scan { body, carries: 1, xs: 1, length: t.clone(), reverse: false, kind: LoopKind::All };
    let node = s.g.add(Op::Scan(Box::new(scan)), &[h0, xp, w_hh_t]).unwrap();
    let port = |port| Value { node, port };
    let (h_last, hs, hps) = (port(0), port(1), port(2));
    let hs2 = s.reshape(hs, &[tb, h]);
    let w_o_t = s.t(p[4]);
    let pred = s.op(Op::Matmul, &[hs2, w_o_t]);
    let b_o = s.like(p[5], pred);
    let pred = s.bin(BinaryOp::Add, pred, b_o);
    let y2 = s.reshape(y, &[tb, one]);
    let diff = s.bin(BinaryOp::Sub, pred, y2);
    let square = s.bin(BinaryOp::Mul, diff, diff);
    let total = s.sum(square, &[0, 1]);
    let n = s.op(Op::Extent(tb.clone()), &[]);
    let n = s.op(Op::Cast(DType::F32), &[n]);
    let loss = s.bin(BinaryOp::Div, total, n);

    // Backward.
    let two = s.f32(2.0);
    let scale = s.bin(BinaryOp::Div, two, n);
    let dpred = s.scaled(diff, scale);
    let dpred_t = s.t(dpred);
    let dw_o = s.op(Op::Matmul, &[dpred_t, hs2]);
    let db_o = s.sum(dpred, &[0]);
    let dhs = s.op(Op::Matmul, &[dpred, p[4]]);
    let dhs = s.reshape(dhs, &[t, b, h]);
    let zero = s.f32(0.0);
    let dh0 = s.like(zero, h0);
    let dw0 = s.like(zero, p[1]);
    let body = {
        let mut s = B { g: Graph::new() };
        let dh = s.g.input(f(&[b, h]), InputKind::Arg, "dh");
        let dw = s.g.input(f(&[h, h]), InputKind::Arg, "dw");
        let dy = s.g.input(f(&[b, h]), InputKind::Arg, "dy");
        let hn = s.g.input(f(&[b, h]), InputKind::Arg, "h");
        let hp = s.g.input(f(&[b, h]), InputKind::Arg, "hp");
        let w = s.g.input(f(&[h, h]), InputKind::Arg, "w");
        let g = s.bin(BinaryOp::Add, dh, dy);
        let sq = s.bin(BinaryOp::Mul, hn, hn);
        let one = s.f32(1.0);
        let one = s.like(one, sq);
        let slope = s.bin(BinaryOp::Sub, one, sq);
        let dz = s.bin(BinaryOp::Mul, g, slope);
        let dhp = s.op(Op::Matmul, &[dz, w]);
        let dz_t = s.t(dz);
        let dwt = s.op(Op::Matmul, &[dz_t, hp]);
        let dw = s.bin(BinaryOp::Add, dw, dwt);
        [dhp, dw, dz].into_iter().for_each(|v| s.g.output(v));
        s.g
    };
    let scan = Scan { body, carries: 2, xs: 3, length: t.clone(), reverse: true, kind: LoopKind::All };
    let node = s.g.add(Op::Scan(Box::new(scan)), &[dh0, dw0, dhs, hs, hps, p[1]]).unwrap();
    let dw_hh = Value { node, port: 1 };
    let dz = s.reshape(Value { node, port: 2 }, &[tb, h]);
    let dz_t = s.t(dz);
    let dw_ih = s.op(Op::Matmul, &[dz_t, x2]);
    let db = s.sum(dz, &[0]);

    // Adam.
    let grads = [dw_ih, dw_hh, db, db, dw_o, db_o];
    let one_f = s.f32(1.0);
    let count1 = s.bin(BinaryOp::Add, count, one_f);
    let (b1, b2, lr, eps) = (s.f32(0.9), s.f32(0.999), s.f32(0.02), s.f32(1e-8));
    let (c1, c2) = (s.f32(0.1), s.f32(0.001));
    let p1 = s.bin(BinaryOp::Pow, b1, count1);
    let p2 = s.bin(BinaryOp::Pow, b2, count1);
    let bc1 = s.bin(BinaryOp::Sub, one_f, p1);
    let bc2 = s.bin(BinaryOp::Sub, one_f, p2);
    let rate = s.bin(BinaryOp::Div, lr, bc1);
    let root = s.un(UnaryOp::Sqrt, bc2);
    for i in 0..6 {
        let g = s.reshape(grads[i], shapes[i]);
        let a = s.scaled(m[i], b1);
        let c = s.scaled(g, c1);
        let m1 = s.bin(BinaryOp::Add, a, c);
        let a = s.scaled(v[i], b2);
        let gg = s.bin(BinaryOp::Mul, g, g);
        let c = s.scaled(gg, c2);
        let v1 = s.bin(BinaryOp::Add, a, c);
        let r = s.un(UnaryOp::Sqrt, v1);
        let root = s.like(root, r);
        let r = s.bin(BinaryOp::Div, r, root);
        let eps = s.like(eps, r);
        let r = s.bin(BinaryOp::Add, r, eps);
        let u = s.scaled(m1, rate);
        let u = s.bin(BinaryOp::Div, u, r);
        let p1 = s.bin(BinaryOp::Sub, p[i], u);
        s.g.update(3 + i, p1);
        s.g.update(9 + i, m1);
        s.g.update(15 + i, v1);
    }
    s.g.update(21, count1);
    s.g.output(loss);
    s.g.output(h_last);
    s.g
}

/// Inputs as in training: second moments are not negative, the count is small.
pub fn plausible(g: &Graph, binding: &[usize]) -> Vec<Array> {
    let mut ins = inputs(g, binding, 7);
    for a in &mut ins[15..21] {
        let Data::F32(v) = &mut a.data else { unreachable!() };
        v.iter_mut().for_each(|x| *x = x.abs());
    }
    for a in &mut ins[3..9] {
        let Data::F32(v) = &mut a.data else { unreachable!() };
        v.iter_mut().for_each(|x| *x *= 0.1);
    }
    ins[21] = Array::scalar(Scalar::F32(3.0));
    ins
}
