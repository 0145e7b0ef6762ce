//! A trained network saved and restored, whole and by its parameters alone, as `torch.save(net, ..)` and
//! `torch.save(net.state_dict(), ..)` do. All networks give the same curve, to the bit.
//!
//! - **Whole** is what the network computes: `model.graph`, the function as text, with its tensors in `model.safetensors`. To load it
//!   takes no struct and no line of the network's code (a pickled module takes its class), and it runs on any number of points.
//! - **Parameters** are named tensors, for a network that is built first. PyTorch reads both files:
//!   `net.load_state_dict(torch.load("parameters.pt"))` and `net.load_state_dict(safetensors.torch.load_file("parameters.safetensors"))`.
//!
//! `cargo run --release --example save_restore`, and the same with `-- --trace`, prints
//!
//! ```text
//! Sequential(
//!   (0): Linear(in_features=1, out_features=10, bias=True)
//!   (1): ReLU()
//!   (2): Linear(in_features=10, out_features=1, bias=True)
//! )
//! step  20: loss 0.0380
//! step  40: loss 0.0107
//! step  60: loss 0.0063
//! step  80: loss 0.0051
//! step 100: loss 0.0044
//! x                        -1.0000 -0.7500 -0.5000 -0.2500  0.0000  0.2500  0.5000  0.7500  1.0000
//! trained                   1.0064  0.6845  0.3830  0.1144  0.1144  0.1598  0.4015  0.6727  0.9439
//! whole                     1.0064  0.6845  0.3830  0.1144  0.1144  0.1598  0.4015  0.6727  0.9439
//! parameters.safetensors    1.0064  0.6845  0.3830  0.1144  0.1144  0.1598  0.4015  0.6727  0.9439
//! parameters.pt             1.0064  0.6845  0.3830  0.1144  0.1144  0.1598  0.4015  0.6727  0.9439
//! equal to the bit: true
//! ```
//!
//! In the folder of `--out`: the files, and `restored.png`, the curves.

use allotrope::plot::{Chart, Color};
use allotrope::prelude::*;
use allotrope::state::{StateDict, Value};
use allotrope::trace::{Names, Program};
use clap::Parser;
use std::path::{Path, PathBuf};

#[derive(Parser)]
struct Args {
    /// Compile the training step.
    #[arg(long)]
    trace: bool,
    /// Folder for the saved networks and the plot.
    #[arg(long, default_value = "allotrope-report/save_restore")]
    out: PathBuf,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    manual_seed(2);
    let x = Tensor::linspace(-1.0, 1.0, 100).unsqueeze(1);
    let y = x.pow(2) + 0.2 * rand(&[100, 1]);
    let net = network();
    println!("{net}");
    train(&net, &x, &y, args.trace)?;

    let files = ["model", "parameters.safetensors", "parameters.pt"].map(|name| args.out.join(name));
    let [whole, safetensors, pt] = &files;
    save_whole(&net, &x, whole)?;
    allotrope::io::save_safetensors(safetensors, &net.state_dict())?;
    allotrope::io::save(pt, &Value::from(net.state_dict()))?;

    // Other points than those of the training, and another number of them.
    let x_new = Tensor::linspace(-1.0, 1.0, 33).unsqueeze(1);
    let named = |value: Value| value.to_state_dict().ok_or("parameters.pt does not hold named tensors");
    let curves = [
        ("trained", no_grad(|| net.forward(&x_new))),
        ("whole", Program::load(whole)?.call(&[&x_new])?.remove(0)),
        ("parameters.safetensors", predicted(&allotrope::io::load_safetensors(safetensors)?, &x_new)?),
        ("parameters.pt", predicted(&named(allotrope::io::load(pt)?)?, &x_new)?),
    ];
    println!("{:<24}{}", "x", row(&x_new));
    for (name, curve) in &curves {
        println!("{name:<24}{}", row(curve));
    }
    println!("equal to the bit: {}", curves.iter().all(|(_, curve)| curve.equal(&curves[0].1)));

    // Each restored network at every third point: dots on the line of the trained one.
    let mut chart = Chart::new("Four networks, one curve").x("x").y("y").size(720, 420);
    chart = chart.scatter_in(Color(200, 200, 200), "data", &x, &y).line("trained", &x, &no_grad(|| net.forward(&x)));
    for (i, (name, curve)) in curves.iter().enumerate().skip(1) {
        chart = chart.scatter(*name, &x_new.index(stepped(i - 1.., 3)), &curve.index(stepped(i - 1.., 3)));
    }
    chart.save(args.out.join("restored.png"))?;
    Ok(())
}

fn network() -> nn::Sequential {
    nn::Sequential::new().append(nn::Linear::new(1, 10)).append(nn::Relu::new()).append(nn::Linear::new(10, 1))
}

fn train(net: &nn::Sequential, x: &Tensor, y: &Tensor, is_traced: bool) -> Result<(), Error> {
    let optimizer = optim::Sgd::new(net.parameters(), 0.5);
    let step = |x: &Tensor, y: &Tensor| {
        let loss = mse_loss(&net.forward(x), y);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        loss.detach()
    };
    let step = trace(step).disabled(!is_traced);
    for i in 1..=100 {
        let loss = step.call((x, y))?;
        if i % 20 == 0 {
            println!("step {i:3}: loss {:.4}", loss.item::<f32>());
        }
    }
    Ok(())
}

/// Compiles the forward pass for inputs like `x`, of any number of rows, and saves it.
fn save_whole(net: &nn::Sequential, x: &Tensor, path: &Path) -> Result<(), Error> {
    let forward = trace(|x: &Tensor| no_grad(|| net.forward(x)));
    forward.compile(x)?;
    forward.save_with_names(path, &Names::new().module("net", net))
}

/// What another network gives with these parameters.
fn predicted(parameters: &StateDict, x: &Tensor) -> Result<Tensor, Error> {
    let net = network();
    net.load_state_dict(parameters)?;
    Ok(no_grad(|| net.forward(x)))
}

/// Every fourth number.
fn row(numbers: &Tensor) -> String {
    numbers.to_vec::<f32>().iter().step_by(4).map(|x| format!("{x:8.4}")).collect()
}
