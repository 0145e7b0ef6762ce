//! Schedules interpreted as their documentation says, one element after the other. What can be rounded in more than one way
//! is asked of the kernels, for one element at a time.

use crate::memory::{decode, encode, replace, show, typed, untyped, with_type};
use crate::operate::operate;
use allotrope::backend::{Input, Memory};
use allotrope::ir::{DType, Dim, ReduceOp, Scalar};
use allotrope::kernels::{self, View as KernelView};
use allotrope::schedule::{
    Base, BufId, Expr, ExprId, ExprKind, Instruction, Iterations, Kernel, Location, Loop, Next, Schedule, View,
};
use std::collections::HashMap;

/// A piece of memory, and the element where something begins in it.
type Place = (usize, i64);

/// One run of a schedule.
pub struct Run<'a> {
    pub schedule: &'a Schedule,
    binding: &'a [usize],
    /// The inputs, then the outputs, then the buffers of scratch.
    pieces: Vec<Vec<Scalar>>,
    /// Where each buffer of scratch is among these.
    scratch: HashMap<u32, usize>,
    scalars: Vec<Option<Scalar>>,
    /// The index of each loop that is running.
    index: HashMap<u32, i64>,
    /// Where each moving buffer is.
    moving: HashMap<u32, Place>,
    /// The first failure.
    failed: Option<usize>,
}

pub fn zero(dtype: DType) -> Scalar {
    Scalar::from_f64(0.0, dtype)
}

/// Every position of a space, in row-major order.
pub fn positions(shape: &[i64]) -> Vec<Vec<i64>> {
    let mut out = vec![vec![]];
    for &n in shape {
        out = out.into_iter().flat_map(|p: Vec<i64>| (0..n).map(move |i| [&p[..], &[i]].concat())).collect();
    }
    out
}

impl<'a> Run<'a> {
    pub fn new(schedule: &'a Schedule, binding: &'a [usize], inputs: &[Input<'_>]) -> Run<'a> {
        let mut run = Run {
            schedule,
            binding,
            pieces: Vec::new(),
            scratch: HashMap::new(),
            scalars: vec![None; schedule.scalars.len()],
            index: HashMap::new(),
            moving: HashMap::new(),
            failed: None,
        };
        for (input, ty) in inputs.iter().zip(&schedule.inputs) {
            let (memory, at): (&Memory, _) = match input {
                Input::Read(memory, at) => (memory, at),
                Input::Update(memory, at) => (memory, at),
            };
            run.pieces.push(decode(ty.dtype, &show(memory)[at.clone()]));
        }
        for output in &schedule.outputs {
            let n: i64 = output.ty.shape.iter().map(|d| run.number(d)).product();
            run.pieces.push(vec![zero(output.ty.dtype); n as usize]);
        }
        for (i, buffer) in schedule.buffers.iter().enumerate() {
            if buffer.location == Location::Scratch {
                run.scratch.insert(i as u32, run.pieces.len());
                let n = run.number(&buffer.len);
                run.pieces.push(vec![zero(buffer.dtype); n as usize]);
            }
        }
        run
    }

    /// Runs all, and writes the outputs; gives the check that failed.
    pub fn finish(mut self, inputs: &mut [Input<'_>], outputs: &mut [&mut Memory]) -> Result<(), usize> {
        let schedule = self.schedule;
        self.all(&schedule.instructions);
        if let Some(check) = self.failed {
            return Err(check);
        }
        let mut fresh = outputs.iter_mut();
        for (i, output) in schedule.outputs.iter().enumerate() {
            match output.update {
                None => replace(fresh.next().unwrap(), &encode(&self.pieces[schedule.inputs.len() + i])),
                Some(input) => {
                    let Input::Update(memory, at) = &mut inputs[input] else { panic!("it was given read-only") };
                    let mut all = show(memory);
                    all[at.clone()].copy_from_slice(&encode(&self.pieces[input]));
                    replace(memory, &all);
                }
            }
        }
        Ok(())
    }

    /// The number of a dimension or stride.
    pub fn number(&self, d: &Dim) -> i64 {
        let term = |(symbols, factor): (Vec<allotrope::ir::Sym>, i64)| {
            symbols.iter().fold(factor, |n, s| n * self.binding[s.0 as usize] as i64)
        };
        d.terms().into_iter().map(term).sum()
    }

    pub fn numbers(&self, dims: &[Dim]) -> Vec<i64> {
        dims.iter().map(|d| self.number(d)).collect()
    }

    fn place(&self, b: BufId) -> Place {
        match &self.schedule.buffer(b).location {
            Location::Input(i) => (*i, 0),
            Location::Output(j) => (self.schedule.inputs.len() + j, 0),
            Location::Scratch => (self.scratch[&b.0], 0),
            Location::Element { of, offset, stride, of_loop } => {
                let (piece, at) = self.place(*of);
                (piece, at + self.number(offset) + self.index[&of_loop.0] * self.number(stride))
            }
            Location::Moving { .. } => self.moving[&b.0],
        }
    }

    /// The element of a view at a position.
    pub fn load(&self, view: &View, position: &[i64]) -> Scalar {
        let at = || self.number(&view.offset) + dot(&self.numbers(&view.strides), position);
        match &view.base {
            Base::Const(s) => *s,
            Base::Extent(d) => Scalar::I64(self.number(d)),
            Base::Scalar(s) => self.scalars[s.0 as usize].expect("written before it is read"),
            Base::Index => Scalar::I64(at()),
            Base::Buf(b) => {
                let (piece, begin) = self.place(*b);
                self.pieces[piece][(begin + at()) as usize]
            }
        }
    }

    /// All elements of a view in row-major order.
    pub fn loads(&self, view: &View) -> Vec<Scalar> {
        positions(&self.numbers(&view.shape)).iter().map(|p| self.load(view, p)).collect()
    }

    /// Where a view has its element at a position.
    fn target(&self, view: &View, position: &[i64]) -> Place {
        let (piece, begin) = self.place(view.buf().expect("only memory is written"));
        (piece, begin + self.number(&view.offset) + dot(&self.numbers(&view.strides), position))
    }

    /// Writes all elements of a view, given in row-major order.
    pub fn stores(&mut self, view: &View, elements: &[Scalar]) {
        for (position, x) in positions(&self.numbers(&view.shape)).iter().zip(elements) {
            let (piece, at) = self.target(view, position);
            self.pieces[piece][at as usize] = *x;
        }
    }

    /// Whether it came to the end.
    fn all(&mut self, instructions: &[Instruction]) -> bool {
        instructions.iter().all(|i| self.one(i))
    }

    fn one(&mut self, instruction: &Instruction) -> bool {
        match instruction {
            Instruction::Kernel(k) => self.kernel(k),
            Instruction::Operation(o) => operate(self, &o.operator),
            Instruction::Loop(l) => self.repeat(l),
            Instruction::Check { check, condition } => {
                if self.failed.is_none() && self.load(condition, &vec![0; condition.shape.len()]) == Scalar::Bool(false)
                {
                    self.failed = Some(*check);
                }
            }
            Instruction::Guard => return self.failed.is_none(),
        }
        true
    }

    fn repeat(&mut self, l: &Loop) {
        let length = self.number(&l.length);
        let one = |view: &View| vec![0; view.shape.len()];
        let known = match &l.iterations {
            Iterations::All => Some(length),
            Iterations::Count(n) => match self.load(n, &one(n)) {
                Scalar::I64(n) => Some(n.clamp(0, length)),
                other => panic!("{other:?} iterations"),
            },
            Iterations::While { .. } => None,
        };
        for carry in &l.carries {
            let begin = self.target(&carry.init, &one(&carry.init));
            self.moving.insert(carry.current.0, begin);
        }
        let mut done = 0;
        loop {
            match (&l.iterations, known) {
                (Iterations::While { flag, limit }, _) => {
                    if self.failed.is_some() || self.load(flag, &one(flag)) != Scalar::Bool(true) {
                        break;
                    }
                    if let (Some(check), true) = (limit, done == length) {
                        self.failed = Some(*check);
                        break;
                    }
                }
                (_, known) if Some(done) == known => break,
                _ => {}
            }
            self.index.insert(l.id.0, if l.reverse { known.unwrap() - 1 - done } else { done });
            for carry in &l.carries {
                if let Next::PingPong { target, buffers } = &carry.next {
                    let place = self.place(buffers[done as usize % 2]);
                    self.moving.insert(target.0, place);
                }
            }
            self.all(&l.body);
            let next = |run: &Self, next: &Next| match next {
                Next::At(b) => run.place(*b),
                Next::PingPong { target, .. } => run.moving[&target.0],
            };
            let places: Vec<Place> = l.carries.iter().map(|c| next(self, &c.next)).collect();
            for (carry, place) in l.carries.iter().zip(places) {
                self.moving.insert(carry.current.0, place);
            }
            done += 1;
        }
        self.index.remove(&l.id.0);
        for tail in &l.tails {
            let shape = self.numbers(&tail.shape);
            for position in positions(&shape).iter().filter(|p| p[0] >= done) {
                let (piece, at) = self.target(tail, position);
                self.pieces[piece][at as usize] = zero(tail.dtype);
            }
        }
    }

    fn kernel(&mut self, k: &Kernel) {
        let axes = self.numbers(&k.axes);
        let (kept, reduced) = axes.split_at(k.kept);
        let within = positions(reduced);
        for position in positions(kept) {
            let full: Vec<Vec<i64>> = within.iter().map(|q| [&position[..], &q[..]].concat()).collect();
            let mut sums: HashMap<u32, Scalar> = HashMap::new();
            for (i, e) in k.exprs.iter().enumerate() {
                if let ExprKind::Reduce(op, a) = &e.kind {
                    let each =
                        full.iter().map(|p| Point::new(self, k, &HashMap::new(), p).value(*a)).collect::<Vec<_>>();
                    sums.insert(i as u32, reduce(*op, e.dtype, &each));
                }
            }
            let first = [&position[..], &vec![0; reduced.len()][..]].concat();
            let mut writes = Vec::new();
            for store in &k.stores {
                let all = k.expr(store.expr).depth > k.kept;
                for p in if all { &full[..] } else { std::slice::from_ref(&first) } {
                    writes.push((self.target(&store.view, p), Point::new(self, k, &sums, p).value(store.expr)));
                }
            }
            let results = k.results.iter().map(|(e, s)| (*s, Point::new(self, k, &sums, &first).value(*e)));
            for (s, x) in results.collect::<Vec<_>>() {
                self.scalars[s.0 as usize] = Some(x);
            }
            for ((piece, at), x) in writes {
                self.pieces[piece][at as usize] = x;
            }
        }
    }
}

fn dot(strides: &[i64], position: &[i64]) -> i64 {
    strides.iter().zip(position).map(|(s, i)| s * i).sum()
}

/// The values of a kernel's expressions at one position.
struct Point<'a> {
    run: &'a Run<'a>,
    kernel: &'a Kernel,
    sums: &'a HashMap<u32, Scalar>,
    position: &'a [i64],
    known: Vec<Option<Scalar>>,
}

impl<'a> Point<'a> {
    fn new(run: &'a Run<'_>, kernel: &'a Kernel, sums: &'a HashMap<u32, Scalar>, position: &'a [i64]) -> Point<'a> {
        Point { run, kernel, sums, position, known: vec![None; kernel.exprs.len()] }
    }

    fn value(&mut self, e: ExprId) -> Scalar {
        if let Some(x) = self.known[e.0 as usize] {
            return x;
        }
        let kernel = self.kernel;
        let Expr { kind, dtype, .. } = kernel.expr(e);
        let x = match kind {
            ExprKind::Leaf(view) => self.run.load(view, self.position),
            ExprKind::Reduce(..) => self.sums[&e.0],
            ExprKind::Unary(op, a) => {
                let a = self.value(*a);
                with_type!(*dtype, T => single(|out: &mut [T]| kernels::unary(*op, view(&typed::<T>(&[a])), out)))
            }
            ExprKind::Binary(op, a, b) => {
                let (a, b) = (self.value(*a), self.value(*b));
                with_type!(*dtype, T => single(|out: &mut [T]| {
                    kernels::binary(*op, view(&typed::<T>(&[a])), view(&typed::<T>(&[b])), out)
                }))
            }
            ExprKind::Compare(op, a, b) => {
                let (a, b) = (self.value(*a), self.value(*b));
                with_type!(a.dtype(), T => single(|out: &mut [bool]| {
                    kernels::compare(*op, view(&typed::<T>(&[a])), view(&typed::<T>(&[b])), out)
                }))
            }
            ExprKind::Select(c, a, b) => match self.value(*c) {
                Scalar::Bool(true) => self.value(*a),
                _ => self.value(*b),
            },
            ExprKind::Cast(a) | ExprKind::Widen(a) | ExprKind::Narrow(a) => {
                let a = self.value(*a);
                with_type!(a.dtype(), S => with_type!(*dtype, T => single(|out: &mut [T]| {
                    kernels::cast::<S, T>(view(&typed::<S>(&[a])), out)
                })))
            }
        };
        self.known[e.0 as usize] = Some(x);
        x
    }
}

/// One element as a view.
fn view<T>(x: &[T]) -> KernelView<'_, T> {
    KernelView::new(x, 0, &[1], &[1]).unwrap()
}

/// The one element that `f` writes.
fn single<T: allotrope::tensor::FromElement>(f: impl FnOnce(&mut [T])) -> Scalar {
    let mut out = [T::default()];
    f(&mut out);
    out[0].to_scalar()
}

fn reduce(op: ReduceOp, dtype: DType, elements: &[Scalar]) -> Scalar {
    with_type!(dtype, T => {
        let (x, shape) = (typed::<T>(elements), [elements.len()]);
        let mut out = [T::default()];
        kernels::reduce(op, KernelView::new(&x, 0, &shape, &[1]).unwrap(), &[0], &mut out);
        untyped(&out)[0]
    })
}
