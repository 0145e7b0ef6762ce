use allotrope::prelude::*;

fn main() -> Result<(), Error> {
    manual_seed(1);
    let model = nn::Linear::new(3, 1);
    let opt = optim::Adam::new(model.parameters(), 0.02);
    let step = |x: &Tensor, y: &Tensor| {
        let loss = mse_loss(&model.forward(x), y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    };
    let (x, y) = (randn(&[8, 3]), randn(&[8, 1]));
    println!("eager  {}", step(&x, &y)); // the graph is built, differentiated and dropped
    let step = trace(step); // the same closure
    println!("traced {}", step.call((&x, &y))?); // forward, backward and Adam: one compiled function
    println!("{} compilation", step.compilations());
    Ok(())
}
