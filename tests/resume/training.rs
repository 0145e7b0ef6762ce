//! The program that is killed: it trains with everything that has a state, and puts all of that into one checkpoint.

use allotrope::data::{DataLoader, DataLoaderOptions, TensorDataset};
use allotrope::io;
use allotrope::optim::{Adam, AdamOptions, Scheduler, scheduler::OneCycleLr};
use allotrope::prelude::*;
use allotrope::state::Value;
use allotrope::tensor::random::{get_rng_state, set_rng_state};
use std::path::Path;

/// Batches of an epoch: the last of them is smaller.
const BATCHES: usize = 7;
const EPOCHS: usize = 12;
pub const STEPS: usize = EPOCHS * BATCHES;
/// Steps from one checkpoint to the next; not a divisor of an epoch.
const EVERY: usize = 3;

/// Where the training stands. All of it is in the checkpoint.
struct Run {
    net: nn::Sequential,
    opt: Adam,
    scheduler: OneCycleLr,
    /// Draws the order of the batches; dropout draws from the default generator.
    order: Generator,
    epoch: usize,
    /// Batches of this epoch that are done.
    done: usize,
    /// The order's generator as it was before this epoch, so that the same order can be drawn again.
    epoch_began: Vec<u8>,
}

impl Run {
    fn new() -> Run {
        manual_seed(5);
        let net = nn::Sequential::new()
            .append(nn::Linear::new(8, 512))
            .append(nn::BatchNorm1d::new(512))
            .append(nn::Relu::new())
            .append(nn::Dropout::new(0.3))
            .append(nn::Linear::new(512, 512))
            .append(nn::Tanh::new())
            .append(nn::Linear::new(512, 1));
        let options = AdamOptions { amsgrad: true, weight_decay: 0.01, ..Default::default() };
        let opt = Adam::with_options(net.parameters(), 1e-3, options);
        let scheduler = OneCycleLr::new(&opt, 0.01, STEPS);
        let order = Generator::new(6);
        let epoch_began = order.get_state();
        Run { net, opt, scheduler, order, epoch: 0, done: 0, epoch_began }
    }

    fn state(&self) -> Value {
        Value::dict([
            ("net", Value::from(self.net.state_dict())),
            ("opt", self.opt.state_dict()),
            ("scheduler", self.scheduler.state_dict()),
            ("generator", bytes(get_rng_state())),
            ("epoch", Value::from(self.epoch as i64)),
            ("done", Value::from(self.done as i64)),
            ("epoch_began", bytes(self.epoch_began.clone())),
        ])
    }

    fn go_on_from(&mut self, checkpoint: &Value) -> Result<(), Error> {
        let part = |name| checkpoint.get(name).unwrap_or_else(|| panic!("the checkpoint has no {name}"));
        let count = |name| part(name).as_int().expect("a number") as usize;
        let state = |name| part(name).as_tensor().expect("bytes").to_vec::<u8>();
        self.net.load_state_dict(&part("net").to_state_dict().expect("tensors"))?;
        self.opt.load_state_dict(part("opt"))?;
        self.scheduler.load_state_dict(part("scheduler"))?;
        set_rng_state(&state("generator"))?;
        (self.epoch, self.done, self.epoch_began) = (count("epoch"), count("done"), state("epoch_began"));
        self.order.set_state(&self.epoch_began)
    }
}

/// The state of a generator, as PyTorch's checkpoints have it.
fn bytes(state: Vec<u8>) -> Value {
    let n = state.len();
    Value::from(Tensor::from_vec(state, &[n]))
}

/// Trains from the checkpoint in the folder, or from the beginning, and leaves the end in `end.pt`. What happens is told as it happens.
pub fn train(folder: &Path, traced: bool, mut tell: impl FnMut(String)) -> Result<(), Error> {
    let data = Generator::new(7);
    let (x, y) = (data.randn(&[50, 8], DType::F32), data.randn(&[50, 1], DType::F32));
    let mut run = Run::new();
    let checkpoint = folder.join("checkpoint.pt");
    if checkpoint.exists() {
        run.go_on_from(&io::load(&checkpoint)?)?;
    }
    let (net, opt) = (&run.net, &run.opt);
    let step = trace(|x: &Tensor, y: &Tensor| {
        let loss = mse_loss(&net.forward(x), y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    });
    let step = step.disabled(!traced);
    let generator = Some(run.order.clone());
    let options = DataLoaderOptions { batch_size: 8, shuffle: true, num_workers: 2, generator, ..Default::default() };
    let loader = DataLoader::with_options(TensorDataset::new((x, y)), options);
    assert_eq!(loader.len(), BATCHES);
    while run.epoch < EPOCHS {
        for batch in loader.iter().skip(run.done) {
            let (x, y) = batch?;
            let loss = step.call((&x, &y))?;
            run.scheduler.step();
            run.done += 1;
            let number = run.epoch * BATCHES + run.done;
            tell(format!("step {number} {:08x}", loss.item::<f32>().to_bits()));
            if number.is_multiple_of(EVERY) {
                tell(format!("saving {number}"));
                io::save(&checkpoint, &run.state())?;
            }
        }
        run.epoch += 1;
        run.done = 0;
        run.epoch_began = run.order.get_state();
    }
    io::save(folder.join("end.pt"), &run.state())
}
