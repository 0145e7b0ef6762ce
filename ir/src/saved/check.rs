//! What a saved function must satisfy before anything is made of it: every graph is a checked one whose sizes memory can
//! have, and what stands around it fits it. So text from anywhere that passes here asks for nothing that a captured
//! function could not. Nothing is repaired.

use super::{
    Argument, Distribution, Draw, FollowRule, Followed, Guard, HistoryAfter, LaidOutAs, Lies, OrderOf, OrderStep,
    Place, Program, Returned, Source, Target, Tensor, Variant,
};
use crate::{Bounds, DType, Dim, Graph, InputKind, Op, Sym, Type, Value, infer};
use std::collections::HashSet;

/// Why a saved function cannot be used, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct SavedError {
    pub place: String,
    pub message: String,
}

type Checked = Result<(), String>;

/// Checks everything that the text form does not.
///
/// # Errors
/// The first thing that does not hold.
pub fn check(program: &Program) -> Result<(), SavedError> {
    let at = |place: String| move |message: String| SavedError { place, message };
    names(program).map_err(at("names".to_string()))?;
    for (i, t) in program.tensors.iter().enumerate() {
        tensor(program, i).map_err(at(format!("tensor {:?}", t.name)))?;
    }
    for (i, variant) in program.variants.iter().enumerate() {
        Checker { program, variant }.check().map_err(at(format!("variant {i}")))?;
    }
    Ok(())
}

fn demand(holds: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn names(p: &Program) -> Checked {
    let mut known = HashSet::new();
    let tensors = p.tensors.iter().map(|t| &t.name);
    for name in tensors.chain(&p.generators).chain(p.flags.iter().map(|f| &f.0)) {
        demand(!name.is_empty(), || "a name is empty".into())?;
        demand(known.insert(name), || format!("{name:?} names two things"))?;
    }
    Ok(())
}

fn tensor(p: &Program, i: usize) -> Checked {
    let t = &p.tensors[i];
    demand(!(t.requires_grad || t.history) || t.dtype.is_float(), || format!("{} has no gradient", t.dtype))?;
    demand(t.requires_grad || !t.history, || "a history without a gradient".into())?;
    if let Some(grad) = t.grad {
        let g = p.tensors.get(grad).ok_or("its gradient does not exist")?;
        demand(grad != i && g.dtype == t.dtype && g.shape == t.shape, || {
            format!("its gradient {:?} is another type: {}{:?} of {}{:?}", g.name, g.dtype, g.shape, t.dtype, t.shape)
        })?;
    }
    if let Some(layout) = &t.layout {
        demand(layout.strides.len() == t.shape.len(), || {
            format!("{} strides for {} axes", layout.strides.len(), t.shape.len())
        })?;
    }
    let ty = type_of(t);
    let mut g = Graph::new();
    g.input(ty, InputKind::State, "");
    Bounds::of(&g).map(|_| ()).map_err(|e| e.to_string())
}

fn type_of(t: &Tensor) -> Type {
    Type::new(t.dtype, t.shape.iter().map(|&n| Dim::fixed(n)))
}

/// Whether that distribution draws elements of the dtype.
fn draws(kind: Distribution, dtype: DType) -> bool {
    match kind {
        Distribution::Integers { .. } | Distribution::Permutation => dtype == DType::I64,
        Distribution::Bernoulli { .. } => dtype == DType::Bool,
        Distribution::Whole { of: DType::U8 | DType::I32 | DType::I64 } => dtype == DType::I64,
        Distribution::Whole { of } => dtype == of && !of.is_half(),
        _ => dtype == DType::F32 || dtype == DType::F64,
    }
}

struct Checker<'a> {
    program: &'a Program,
    variant: &'a Variant,
}

/// The sizes in what views show of memory.
fn memory(from: &OrderOf, steps: &[OrderStep], uses: &mut dyn FnMut(&Dim)) {
    if let OrderOf::Fresh(shape) = from {
        shape.iter().for_each(&mut *uses);
    }
    used_by(steps, uses);
}

/// What views show of a type.
fn seen(ty: Type, steps: &[OrderStep]) -> Result<Type, String> {
    steps.iter().try_fold(ty, |ty, step| {
        Ok(match step {
            OrderStep::View(op) => infer(op, &[&ty]).map_err(|e| e.to_string())?.remove(0),
            OrderStep::Strided { sizes, steps, .. } => {
                let rank = ty.shape.len();
                let others = rank > 0 && sizes.len() == steps.len() && sizes.len() + 1 >= rank;
                demand(others && sizes[..rank - 1] == ty.shape[..rank - 1], || {
                    format!("no strides show {ty} as {} axes", sizes.len())
                })?;
                Type::new(ty.dtype, sizes.iter().cloned())
            }
            OrderStep::Memory { len, sizes, steps, .. } => {
                demand(sizes.len() == steps.len() && sizes[..] == ty.shape[..], || {
                    format!("{ty} does not lie so in memory")
                })?;
                Type::new(ty.dtype, [len.clone()])
            }
            OrderStep::Select { axis, .. } => {
                let mut shape = ty.shape.clone();
                demand(*axis < shape.len(), || format!("{ty} has no axis {axis}"))?;
                shape.remove(*axis);
                Type::new(ty.dtype, shape)
            }
            OrderStep::Element if !ty.shape.is_empty() => Type::new(ty.dtype, ty.shape.into_iter().skip(1)),
            OrderStep::Element => return Err("a tensor without axes has no elements along one".into()),
        })
    })
}

fn used_by(steps: &[OrderStep], uses: &mut dyn FnMut(&Dim)) {
    for step in steps {
        match step {
            OrderStep::View(op) => _ = op.map_dims(&mut *uses),
            OrderStep::Strided { sizes, .. } => sizes.iter().for_each(&mut *uses),
            OrderStep::Memory { len, sizes, .. } => sizes.iter().chain([len]).for_each(&mut *uses),
            OrderStep::Select { .. } | OrderStep::Element => {}
        }
    }
}

impl Checker<'_> {
    fn check(&self) -> Checked {
        let v = self.variant;
        crate::check(&v.graph).map_err(|e| e.to_string())?;
        demand(!fused(&v.graph), || "a fusion is made by the passes; a saved graph is one from before them".into())?;
        Bounds::of(&v.graph).map_err(|e| e.to_string())?;
        for (i, a) in v.arguments.iter().enumerate() {
            self.argument(i, a)?;
        }
        self.symbols()?;
        let follows = self.follows()?;
        v.guards.iter().try_for_each(|g| self.guard(g, &follows))?;
        self.inputs()?;
        self.draws()?;
        v.orders.iter().try_for_each(|o| self.shown(&o.from, &o.steps, &[]).map(drop))?;
        self.outputs(&follows)?;
        v.cleared.iter().try_for_each(|c| self.place(*c))?;
        for (of, after) in &v.histories {
            let ty = self.ty(*of)?;
            demand(*after == HistoryAfter::Leaf(false) || ty.dtype.is_float(), || {
                format!("{of:?}, which is {ty}, cannot require a gradient")
            })?;
        }
        v.set.iter().try_for_each(|(f, _)| self.flag(*f))
    }

    fn argument(&self, i: usize, a: &Argument) -> Checked {
        demand(!a.requires_grad || a.ty.dtype.is_float(), || format!("argument {i}: {} has no gradient", a.ty.dtype))?;
        let rank = a.ty.shape.len();
        demand(a.strides.as_ref().is_none_or(|s| s.len() == rank && a.contiguous == Some(false)), || {
            format!("argument {i}: these are not the strides of {rank} axes")
        })?;
        let Some(first) = a.same_as else { return Ok(()) };
        let same = first < i && self.variant.arguments[first].same_as.is_none();
        demand(same && self.variant.arguments[first].ty == a.ty, || {
            format!("argument {i} cannot be the same tensor as argument {first}")
        })
    }

    /// Every symbol gets its number from an axis of an argument that is just this symbol, or is the capacity of a loop.
    fn symbols(&self) -> Checked {
        let v = self.variant;
        let dims = v.arguments.iter().flat_map(|a| &a.ty.shape);
        let mut bound: HashSet<Sym> = dims.clone().filter_map(Dim::as_sym).collect();
        let mut used: Vec<Sym> = Vec::new();
        let mut uses = |d: &Dim| used.extend(d.symbols());
        dims.for_each(&mut uses);
        for guard in &v.guards {
            match guard {
                Guard::Least(dim, _) => uses(dim),
                Guard::Lies { from, steps, .. } => memory(from, steps, &mut uses),
                Guard::GradEnabled(_) | Guard::RequiresGrad(..) | Guard::HasGrad(..) => {}
                Guard::Same(..) | Guard::Flag(..) => {}
            }
        }
        for returned in &v.returned {
            if let Returned::View { steps, .. } = returned {
                used_by(steps, &mut uses);
            }
        }
        v.orders.iter().for_each(|o| memory(&o.from, &o.steps, &mut uses));
        for operand in v.follows.iter().flat_map(|f| &f.operands) {
            if let Followed::Memory(from, steps) = operand {
                memory(from, steps, &mut uses);
            }
        }
        for o in &v.laid_out {
            if let LaidOutAs::Memory(from, steps) = &o.strides {
                memory(from, steps, &mut uses);
            }
        }
        lengths(&v.draws, &mut uses);
        v.graph.input_values().flat_map(|input| &v.graph.ty(input).shape).for_each(&mut uses);
        let unknown = |s: Option<Sym>| match s {
            Some(s) => Err(format!("no axis of an argument gives {s} a number")),
            None => Ok(()),
        };
        unknown(used.into_iter().find(|s| !bound.contains(s)))?;
        // What a run decides is inside the graph only.
        bound.extend(v.graph.capacities());
        unknown(v.graph.symbols().into_iter().find(|s| !bound.contains(s)))
    }

    fn guard(&self, guard: &Guard, follows: &[Type]) -> Checked {
        match guard {
            Guard::GradEnabled(_) | Guard::Least(..) => Ok(()),
            Guard::RequiresGrad(t, _) => self.place(Place::Tensor(*t)),
            Guard::HasGrad(of, _) => self.place(*of),
            Guard::Same(i, other, _) => {
                self.place(Place::Argument(*i))?;
                self.place(*other)
            }
            Guard::Flag(f, _) => self.flag(*f),
            Guard::Lies { from, steps, answer } => {
                let ty = self.shown(from, steps, follows)?;
                let rank = ty.shape.len();
                let fits = match answer {
                    Lies::Strides(strides) => strides.len() == rank,
                    Lies::Order(axes) => is_order(axes, rank),
                    Lies::Shared(_) | Lies::Contiguous(_) | Lies::Begins(_) => true,
                };
                demand(fits, || format!("these are not the strides of {rank} axes"))
            }
        }
    }

    fn flag(&self, i: usize) -> Checked {
        demand(i < self.program.flags.len(), || format!("flag {i} does not exist"))
    }

    fn place(&self, place: Place) -> Checked {
        let exists = match place {
            Place::Tensor(i) => i < self.program.tensors.len(),
            Place::Argument(i) => i < self.variant.arguments.len(),
        };
        demand(exists, || format!("{place:?} does not exist"))
    }

    /// The type of what is there.
    fn ty(&self, place: Place) -> Result<Type, String> {
        self.place(place)?;
        Ok(match place {
            Place::Tensor(i) => type_of(&self.program.tensors[i]),
            Place::Argument(i) => self.variant.arguments[i].ty.clone(),
        })
    }

    /// The gradient of what is there can be read when the call begins: a guard says that there is one.
    fn guarded(&self, place: Place) -> Checked {
        let guarded = self.variant.guards.contains(&Guard::HasGrad(place, true));
        demand(guarded, || format!("the gradient of {place:?} is read, and no `when` says that there is one"))
    }

    fn inputs(&self) -> Checked {
        let v = self.variant;
        let inputs = v.graph.inputs();
        demand(inputs.len() == v.inputs.len(), || {
            format!("the graph has {} inputs, {} are described", inputs.len(), v.inputs.len())
        })?;
        let mut seen = HashSet::new();
        for (i, (input, source)) in inputs.iter().zip(&v.inputs).enumerate() {
            let found = v.graph.ty(Value { node: input.node, port: 0 });
            let stated = match *source {
                Source::Draw => continue,
                Source::Elements(of) => self.ty(of)?,
                Source::Grad(of) => {
                    self.guarded(of)?;
                    self.ty(of)?
                }
            };
            demand(seen.insert(*source), || format!("input {i} is one that there is already"))?;
            demand(*found == stated, || format!("input {i} of the graph is {found}, what is given is {stated}"))?;
            let alias = matches!(source, Source::Elements(Place::Argument(a)) if v.arguments[*a].same_as.is_some());
            demand(!alias, || format!("input {i} is an argument that is the same tensor as another one"))?;
        }
        for (i, a) in v.arguments.iter().enumerate() {
            let given = a.same_as.is_some() || seen.contains(&Source::Elements(Place::Argument(i)));
            demand(given, || format!("argument {i} is no input of the graph"))?;
        }
        Ok(())
    }

    fn draws(&self) -> Checked {
        let mut drawn = vec![false; self.variant.inputs.len()];
        self.items(&self.variant.draws, &mut Vec::new(), &mut drawn)?;
        let sources = self.variant.inputs.iter().zip(&drawn);
        match sources.enumerate().find(|(_, (source, drawn))| (**source == Source::Draw) != **drawn) {
            Some((i, _)) => Err(format!("input {i} is not drawn")),
            None => Ok(()),
        }
    }

    fn items(&self, items: &[Draw], lengths: &mut Vec<Dim>, drawn: &mut [bool]) -> Checked {
        let generator = |g: &Option<usize>| {
            demand(g.is_none_or(|g| g < self.program.generators.len()), || "a generator does not exist".into())
        };
        for item in items {
            match item {
                Draw::Seed { generator: g, .. } => generator(g)?,
                Draw::Draw { input, kind, generator: g } => {
                    generator(g)?;
                    let value = self.variant.graph.input_values().nth(*input);
                    let value = value.ok_or_else(|| format!("input {input} is drawn and does not exist"))?;
                    let ty = self.variant.graph.ty(value);
                    demand(self.variant.inputs[*input] == Source::Draw && !drawn[*input], || {
                        format!("input {input} cannot be drawn, or is drawn twice")
                    })?;
                    drawn[*input] = true;
                    demand(ty.shape.starts_with(lengths), || {
                        format!("input {input} is {ty}, which does not begin with the lengths of its loops")
                    })?;
                    demand(draws(*kind, ty.dtype), || format!("input {input}: {kind:?} draws no {}", ty.dtype))?;
                }
                Draw::Loop { length, items, .. } => {
                    lengths.push(length.clone());
                    self.items(items, lengths, drawn)?;
                    lengths.pop();
                }
            }
        }
        Ok(())
    }

    /// The types of the results that follow their operands, each after those that it follows: all of one shape.
    fn follows(&self) -> Result<Vec<Type>, String> {
        let mut types: Vec<Type> = Vec::new();
        for (i, f) in self.variant.follows.iter().enumerate() {
            let mut ty: Option<Type> = None;
            for operand in &f.operands {
                let Followed::Memory(from, steps) = operand else { continue };
                let shown = self.shown(from, steps, &types)?;
                let shape = shown.shape;
                let first = ty.get_or_insert_with(|| Type::new(DType::F32, shape.iter().cloned()));
                demand(first.shape.len() == shape.len(), || format!("what follower {i} follows has several ranks"))?;
            }
            let first = matches!(f.operands.first(), Some(Followed::Memory(..))) || f.rule == FollowRule::Elementwise;
            types.push(ty.filter(|_| first).ok_or_else(|| format!("follower {i} follows nothing"))?);
        }
        Ok(types)
    }

    /// What the views show. They lead from one shape to the next as the type rules say, so that following them cannot fail.
    fn shown(&self, from: &OrderOf, steps: &[OrderStep], follows: &[Type]) -> Result<Type, String> {
        let ty = match from {
            OrderOf::Fresh(shape) => Type::new(DType::F32, shape.iter().cloned()),
            OrderOf::Tensor(t) => self.ty(Place::Tensor(*t))?,
            OrderOf::Follows(i) => follows.get(*i).cloned().ok_or_else(|| format!("follower {i} is not above"))?,
            OrderOf::Input(i) => match self.variant.inputs.get(*i) {
                Some(Source::Elements(of)) => self.ty(*of)?,
                Some(Source::Grad(of)) => {
                    self.guarded(*of)?;
                    self.ty(*of)?
                }
                _ => return Err(format!("input {i} has no memory to ask about")),
            },
        };
        seen(ty, steps)
    }

    /// The type of output `i` as a new tensor, whose axes the graph gives in the order in which they lie in memory.
    fn turned(&self, i: usize, given: &Type) -> Type {
        let laid_out = self.variant.laid_out.iter().find(|o| o.output == i && !o.axes.is_empty());
        let mut ty = given.clone();
        for (place, &axis) in laid_out.iter().flat_map(|o| o.axes.iter().enumerate()) {
            ty.shape[axis] = given.shape[place].clone();
        }
        ty
    }

    fn laid_out(&self, follows: &[Type]) -> Checked {
        let v = self.variant;
        let mut last = None;
        for o in &v.laid_out {
            let i = o.output;
            let output = v.graph.outputs().get(i).ok_or_else(|| format!("output {i} does not exist"))?;
            let new = matches!(v.outputs.get(i), Some(Target::Result(_) | Target::Grad(_)));
            demand(new && last < Some(i), || format!("output {i} is no new tensor, or lies in two ways"))?;
            last = Some(i);
            let rank = v.graph.ty(output.value).shape.len();
            let shown = match &o.strides {
                LaidOutAs::Strides(strides) => strides.len(),
                LaidOutAs::Memory(from, steps) => self.shown(from, steps, follows)?.shape.len(),
            };
            let fits = shown == rank && (o.axes.is_empty() || is_order(&o.axes, rank));
            demand(fits, || format!("output {i} has {rank} axes, and would lie as something with others"))?;
        }
        Ok(())
    }

    fn outputs(&self, follows: &[Type]) -> Checked {
        self.laid_out(follows)?;
        let v = self.variant;
        let outputs = v.graph.outputs();
        demand(outputs.len() == v.outputs.len(), || {
            format!("the graph has {} outputs, {} are described", outputs.len(), v.outputs.len())
        })?;
        let mut seen = HashSet::new();
        let mut results = Vec::new();
        for (i, (output, target)) in outputs.iter().zip(&v.outputs).enumerate() {
            demand(seen.insert(*target), || format!("output {i} goes where another one goes"))?;
            let found = &self.turned(i, v.graph.ty(output.value));
            let stated = match *target {
                Target::Result(number) => {
                    results.push(number);
                    found.clone()
                }
                Target::Elements(of) => self.ty(of)?,
                Target::GradElements(of) => {
                    demand(v.inputs.contains(&Source::Grad(of)), || {
                        format!("output {i} changes a gradient that is no input")
                    })?;
                    self.ty(of)?
                }
                Target::Grad(of) => {
                    let ty = self.ty(of)?;
                    demand(ty.dtype.is_float(), || format!("output {i} would be a gradient of {ty}"))?;
                    ty
                }
            };
            demand(*found == stated, || format!("output {i} of the graph is {found}, where it goes is {stated}"))?;
            if let Some(input) = output.update {
                let tensor = matches!(target, Target::Elements(Place::Tensor(_)));
                let same = matches!((v.inputs[input], *target), (Source::Elements(a), Target::Elements(b)) if a == b);
                demand(tensor && same, || format!("output {i} updates an input that is not where it goes"))?;
            }
        }
        let types = self.returned()?;
        let is_computed = |(i, r): (usize, &Returned)| matches!(r, Returned::Computed { .. }).then_some(i);
        let computed: Vec<usize> = v.returned.iter().enumerate().filter_map(is_computed).collect();
        demand(results == computed, || {
            format!("the results {computed:?} are computed, and the outputs give the results {results:?}")
        })?;
        demand(v.results.iter().all(|r| *r < types.len()), || "a result does not exist".into())?;
        for (of, grad) in &v.own_grads {
            let new = matches!(v.returned.get(*of), Some(Returned::Computed { .. } | Returned::View { .. }));
            let same = new && types[*of].dtype.is_float() && types.get(*grad) == Some(&types[*of]);
            demand(same && of != grad, || format!("result {grad} cannot be the gradient of result {of}"))?;
        }
        let mut set = HashSet::new();
        for (of, i) in &v.grads {
            let alone = set.insert(*of) && !v.cleared.contains(of) && !seen.contains(&Target::Grad(*of));
            demand(alone, || format!("the gradient of {of:?} is set twice"))?;
            let ty = self.ty(*of)?;
            demand(ty.dtype.is_float() && types.get(*i) == Some(&ty), || {
                format!("result {i} cannot be the gradient of {of:?}, which is {ty}")
            })?;
        }
        Ok(())
    }

    /// The types of the tensors that are handed out. Views lead from one shape to the next as the type rules say.
    fn returned(&self) -> Result<Vec<Type>, String> {
        let v = self.variant;
        let mut types: Vec<Type> = Vec::new();
        for (i, r) in v.returned.iter().enumerate() {
            let (ty, requires_grad) = match r {
                Returned::Same(of) => (self.ty(*of)?, false),
                Returned::Grad(of) => {
                    self.guarded(*of)?;
                    (self.ty(*of)?, false)
                }
                Returned::Computed { requires_grad, .. } => {
                    let output = v.outputs.iter().position(|t| *t == Target::Result(i));
                    let output = output.ok_or_else(|| format!("result {i} is computed by no output"))?;
                    (self.turned(output, v.graph.ty(v.graph.outputs()[output].value)), *requires_grad)
                }
                Returned::View { of, steps, requires_grad, .. } => {
                    let base = types.get(*of).ok_or_else(|| format!("result {i} is a view of what is not above it"))?;
                    demand(!steps.contains(&OrderStep::Element), || format!("result {i} is an element of a loop"))?;
                    for step in steps {
                        let OrderStep::Select { at, .. } = step else { continue };
                        let is_place = types.get(*at).is_some_and(|ty| ty.dtype == DType::I64 && ty.shape.is_empty());
                        demand(is_place, || {
                            format!("result {at}, which is to say what result {i} shows, is no place")
                        })?;
                    }
                    (seen(base.clone(), steps)?, *requires_grad)
                }
            };
            demand(!requires_grad || ty.dtype.is_float(), || format!("result {i} has no gradient"))?;
            types.push(ty);
        }
        Ok(types)
    }
}

/// Whether it names each of `rank` axes once.
fn is_order(axes: &[usize], rank: usize) -> bool {
    axes.len() == rank && (0..rank).all(|a| axes.contains(&a))
}

/// The lengths of all loops.
fn lengths(items: &[Draw], uses: &mut dyn FnMut(&Dim)) {
    for item in items {
        if let Draw::Loop { length, items, .. } = item {
            uses(length);
            lengths(items, uses);
        }
    }
}

/// Whether there is a fusion in the graph or a body of it.
fn fused(g: &Graph) -> bool {
    g.nodes().any(|id| {
        let op = &g.node(id).op;
        matches!(op, Op::Fusion(_)) || op.body().is_some_and(fused)
    })
}
