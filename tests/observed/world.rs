//! What surrounds a closure: the tensors that it captures, what its caller holds, and what the caller does between calls.
//! Everything here goes through the public interface and happens in the same way whatever mode the closure runs in.

use crate::program::{Action, Argument, Fresh, Layout};
use crate::step::Surroundings;
use allotrope::prelude::*;
use std::cell::RefCell;
use std::sync::{Arc, Mutex};

pub struct World {
    pub parameter: Tensor,
    /// A tensor that is exchanged between calls.
    pub cell: RefCell<Tensor>,
    /// What the cell may show a part of.
    whole: Tensor,
    places: Tensor,
    count: Tensor,
    optimizer: optim::Sgd,
    /// What the caller holds besides: arguments and results of the last call, gradients, derivatives.
    pub held: RefCell<Vec<Tensor>>,
    /// What hooks have seen.
    pub seen: Arc<Mutex<Vec<Tensor>>>,
}

/// Numbers that are exact in few bits, and differ.
fn dense(shape: &[usize], seed: u8) -> Tensor {
    let n: usize = shape.iter().product();
    let each = (0..n).map(|i| ((i * 7 + usize::from(seed) * 5) % 17) as f32 * 0.25 - 1.5).collect::<Vec<f32>>();
    Tensor::from_vec(each, shape)
}

impl Fresh {
    pub fn make(&self) -> Tensor {
        let shape = self.shape.map(usize::from);
        let shape = &shape[2 - usize::from(self.rank)..];
        let last = shape.len() as isize - 1;
        let x = match self.layout {
            _ if shape.is_empty() => dense(shape, self.seed),
            Layout::Dense => dense(shape, self.seed),
            Layout::Transposed => {
                let reversed: Vec<usize> = shape.iter().rev().copied().collect();
                dense(&reversed, self.seed).transpose(0, -1)
            }
            Layout::Narrowed => {
                let mut wide = shape.to_vec();
                wide[last as usize] += 2;
                dense(&wide, self.seed).narrow(last, 1, shape[last as usize])
            }
            Layout::Stepped => {
                let mut wide = shape.to_vec();
                wide[last as usize] *= 2;
                dense(&wide, self.seed).slice(last, None, None, 2)
            }
            Layout::Expanded => {
                let mut one = shape.to_vec();
                one[0] = 1;
                let whole: Vec<isize> = shape.iter().map(|&n| n as isize).collect();
                dense(&one, self.seed).expand(&whole)
            }
        };
        match (self.requires_grad, self.history) {
            (false, _) => x,
            // A leaf that is no view: one that is forgets in a trace what it is a view of.
            (true, false) => x.detach().requires_grad(),
            (true, true) => x.detach().requires_grad() * 1.0,
        }
    }
}

impl World {
    pub fn new(parameter: &Fresh, cell: u8) -> World {
        let layout = if parameter.layout == Layout::Expanded { Layout::Dense } else { parameter.layout };
        let parameter = Fresh { requires_grad: true, history: false, layout, ..*parameter }.make();
        let world = World {
            optimizer: optim::Sgd::new(vec![parameter.clone()], 0.25),
            parameter,
            cell: RefCell::new(Tensor::zeros(&[1], DType::F32)),
            whole: dense(&[3, 2], 9),
            places: Tensor::from_vec(vec![0i64, 2], &[2]),
            count: Tensor::from_vec(vec![2.0f32], &[1]),
            held: RefCell::default(),
            seen: Arc::default(),
        };
        world.exchange(cell);
        world
    }

    pub fn around(&self) -> Surroundings<'_> {
        Surroundings { places: &self.places, count: &self.count, optimizer: &self.optimizer }
    }

    fn exchange(&self, how: u8) {
        let (p, w) = (&self.parameter, &self.whole);
        let new = match how % 8 {
            0 => dense(&[2, 3], how),
            1 => dense(&[3, 2], how).t(),
            2 => w.t(),
            3 => w.narrow(0, 1, 2),
            4 => w.reshape(&[-1]),
            5 => p.detach(),
            6 => p.detach().unsqueeze(0),
            _ => dense(&[2, 2], how).requires_grad(),
        };
        let old = self.cell.replace(new);
        // Whoever still holds the old one keeps it in use.
        self.held.borrow_mut().retain(|t| !t.is_same(&old));
    }

    pub fn argument(&self, argument: &Argument, first: Option<&Tensor>) -> Tensor {
        match argument {
            Argument::Fresh(fresh) => fresh.make(),
            Argument::Parameter => self.parameter.clone(),
            Argument::ParameterGrad => self.parameter.grad().unwrap_or_else(|| dense(&[2, 2], 3)),
            Argument::Cell => self.cell.borrow().clone(),
            Argument::First => first.cloned().unwrap_or_else(|| dense(&[2, 2], 4)),
            Argument::View => self.parameter.detach().unsqueeze(0),
            Argument::Result(i) => {
                let held = self.held.borrow();
                held.len()
                    .checked_sub(1)
                    .map_or_else(|| dense(&[2, 3], 5), |n| held[n - usize::from(*i) % (n + 1)].clone())
            }
        }
    }

    /// Everything that the caller can reach, in one order.
    pub fn all(&self) -> Vec<Tensor> {
        let held = self.held.borrow();
        let cell = self.cell.borrow().clone();
        let seen = self.seen.lock().expect("no hook panics").clone();
        held.iter().cloned().chain([self.parameter.clone(), cell, self.whole.clone()]).chain(seen).collect()
    }

    /// Does something; what cannot be done in this state is not.
    pub fn act(&self, action: &Action) -> Result<(), Error> {
        let all = self.all();
        let at = |i: u8| &all[usize::from(i) % all.len()];
        let hold = |t: Tensor| self.held.borrow_mut().push(t);
        match *action {
            Action::Exchange(how) => self.exchange(how),
            Action::Change(i) => {
                no_grad(|| at(i).try_add_(1.0).map(drop))?;
            }
            Action::ChangeRecorded(i) => {
                at(i).try_mul_(2.0)?;
            }
            Action::Backward { of, retain } => backward(at(of), retain)?,
            Action::Grad { of, by, create } => {
                let (of, by) = (at(of), at(by));
                if of.is_requires_grad() && by.is_requires_grad() {
                    let how = GradOptions { retain_graph: true, create_graph: create, ..GradOptions::default() };
                    let found = grad_with(&[&(of * of).sum()], &[by], GradOptions { allow_unused: true, ..how })?;
                    // How gradients lie that are no leaf's differs between the modes as yet.
                    found.into_iter().flatten().for_each(|g| hold(g.contiguous()));
                }
            }
            Action::RetainGrad { kept, of } => {
                at(kept).try_retain_grad()?;
                backward(at(of), true)?;
            }
            Action::Hook { on, of } => {
                if at(on).is_requires_grad() {
                    let seen = Arc::clone(&self.seen);
                    let handle = at(on).register_hook(move |g| {
                        seen.lock().expect("no hook panics").push((g.detach() * 1.0).contiguous());
                        Some(g * 2.0)
                    });
                    let done = backward(at(of), true);
                    handle.remove();
                    done?;
                }
            }
            Action::HoldGrad(i) => at(i).grad().into_iter().for_each(hold),
            Action::ClearGrad(i) if at(i).try_is_leaf().unwrap_or(false) => at(i).set_grad(None),
            Action::ClearGrad(_) => {}
        }
        Ok(())
    }
}

fn backward(of: &Tensor, retain: bool) -> Result<(), Error> {
    if !of.is_requires_grad() {
        return Ok(());
    }
    (of * of).sum().try_backward_with(Backward { retain_graph: retain, ..Backward::default() })
}
