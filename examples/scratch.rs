use allotrope::prelude::*;
use allotrope::tensor::create::*;
fn main() {
    let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]).requires_grad();
    (&x * &x).sum().backward();
    println!("{}", x.grad().unwrap());
    manual_seed(1);
    let rnn = nn::Rnn::new(1, 32).batch_first(true);
    let out = nn::Linear::new(32, 1);
    let mut ps = rnn.parameters(); ps.extend(out.parameters());
    let opt = optim::Adam::new(ps, 0.02);
    let step = |x: &Tensor, y: &Tensor, h: &Tensor| {
        let (r, h) = rnn.forward(x, h);
        let p = out.forward(&r);
        let loss = mse_loss(&p, y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        (loss.detach(), h.detach())
    };
    let mut h = Tensor::zeros(&[1, 1, 32], DType::F32);
    let pi = std::f64::consts::PI;
    for s in 0..10 {
        let t: Vec<f32> = (0..10).map(|i| (s as f64 * pi + i as f64 * pi / 9.0) as f32).collect();
        let x = Tensor::from_vec(t.iter().map(|t| t.sin()).collect::<Vec<f32>>(), &[1, 10, 1]);
        let y = Tensor::from_vec(t.iter().map(|t| t.cos()).collect::<Vec<f32>>(), &[1, 10, 1]);
        let (l, h2) = step(&x, &y, &h);
        h = h2;
        println!("{}", l.item::<f32>());
    }
}
