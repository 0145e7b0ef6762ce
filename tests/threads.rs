//! Traced functions and threads: they go to another thread, several threads call one at the same time, and whoever waits
//! for whom, nobody waits for ever.

use allotrope::prelude::*;
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, OnceLock};
use std::thread;

fn sendable<T: Send>(_: &T) {}
fn shareable<T: Send + Sync>(_: &T) {}

fn bits(t: &Tensor) -> Vec<u32> {
    t.to_vec::<f32>().into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_traced_function_goes_to_another_thread() {
    let w = Tensor::full(&[3], 2.0f32);
    let inside = w.clone();
    let double = trace(move |x: &Tensor| x * &inside);
    shareable(&double);
    // Rust values that only one thread may use at a time are no hindrance to being sent, nor is a lock around them.
    let calls = std::cell::Cell::new(0);
    let counted = trace(move |x: &Tensor| {
        calls.set(calls.get() + 1);
        x * 3.0
    });
    sendable(&counted);
    shareable(&counted);
    let x = Tensor::ones(&[3], DType::F32);
    assert_eq!(double.call(&x).unwrap().to_vec::<f32>(), [2.0; 3]);
    let double = thread::spawn(move || {
        assert_eq!(double.call(&x).unwrap().to_vec::<f32>(), [2.0; 3]);
        w.add_(1.0);
        double
    });
    let double = double.join().unwrap();
    assert_eq!(double.call(&Tensor::ones(&[5, 3], DType::F32)).unwrap().to_vec::<f32>(), [3.0; 15]);
    // Another number of axes is another variant.
    assert_eq!(double.compilations(), 2);
}

/// Threads that call at the same time, from the first call on and with lengths of their own, share one compilation.
#[test]
fn calls_that_change_nothing_run_at_the_same_time() {
    manual_seed(3);
    let (w, u) = (randn(&[4, 16]), randn(&[16, 16]));
    let program = |x: &Tensor| {
        let start = Tensor::zeros(&[16], DType::F32);
        let step = |h: Tensor, x: Tensor| {
            let h = (x.matmul(&w) + h.matmul(&u)).tanh();
            (h.clone(), h)
        };
        scan(start, x.clone(), step)
    };
    let traced = trace(program);
    let inputs: Vec<Tensor> = (0..8).map(|i| randn(&[3 + 7 * i, 4])).collect();
    let want: Vec<_> = inputs.iter().map(|x| bits(&program(x).1)).collect();
    let ready = Barrier::new(4);
    thread::scope(|s| {
        for me in 0..4 {
            let (traced, inputs, want, ready) = (&traced, &inputs, &want, &ready);
            s.spawn(move || {
                ready.wait();
                for round in 0..40 {
                    let i = (me * 3 + round) % inputs.len();
                    let (last, all) = traced.call(&inputs[i]).unwrap();
                    assert_eq!(bits(&all), want[i]);
                    assert_eq!(bits(&last), want[i][want[i].len() - 16..]);
                }
            });
        }
    });
    assert_eq!(traced.compilations(), 1);
}

/// Calls that change a tensor come one after the other, and no change is lost.
#[test]
fn calls_that_change_the_same_tensor_come_one_after_the_other() {
    let sum = Tensor::zeros(&[100], DType::F32);
    let add = trace(|x: &Tensor| {
        sum.add_(x);
    });
    let read = trace(|x: &Tensor| (&sum + x).max());
    let one = Tensor::ones(&[100], DType::F32);
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..500).for_each(|_| add.call(&one).unwrap()));
        }
        s.spawn(|| {
            let mut before = 0.0;
            for _ in 0..500 {
                let now = read.call(&one).unwrap().item::<f32>();
                assert!(now >= before, "{now} after {before}");
                before = now;
            }
        });
    });
    assert_eq!(sum.to_vec::<f32>(), [2000.0; 100]);
    assert_eq!((add.compilations(), read.compilations()), (1, 1));
}

/// Two functions that change the same tensors in opposite order.
#[test]
fn functions_that_share_state_do_not_block_each_other() {
    let (a, b) = (Tensor::zeros(&[64], DType::F32), Tensor::zeros(&[64], DType::F32));
    let first = trace(|x: &Tensor| {
        a.add_(x);
        b.add_(&a);
    });
    let second = trace(|x: &Tensor| {
        b.add_(x);
        a.sub_(x);
    });
    let one = Tensor::ones(&[64], DType::F32);
    thread::scope(|s| {
        for f in 0..4 {
            let (first, second, one) = (&first, &second, &one);
            s.spawn(move || {
                for _ in 0..300 {
                    if f % 2 == 0 { first.call(one).unwrap() } else { second.call(one).unwrap() }
                }
            });
        }
    });
    assert_eq!(a.to_vec::<f32>(), [0.0; 64]);
}

/// A training step that one thread calls is the same when another one goes on with it.
#[test]
fn a_training_step_is_handed_over() {
    let run = |hand_over: bool| -> Vec<u32> {
        manual_seed(5);
        let model = nn::Linear::new(3, 2);
        let opt = optim::Adam::new(model.parameters(), 0.1);
        let step = trace(|x: &Tensor| {
            let loss = model.forward(x).square().mean();
            opt.zero_grad();
            loss.backward();
            opt.step();
            loss.detach()
        });
        let x = randn(&[4, 3]);
        let mut losses = Vec::new();
        for _ in 0..6 {
            let once = || step.call(&x).unwrap().item::<f32>().to_bits();
            losses.push(if hand_over { thread::scope(|s| s.spawn(once).join().unwrap()) } else { once() });
        }
        assert_eq!(step.compilations(), 1);
        losses
    };
    assert_eq!(run(false), run(true));
}

/// Gradients that are taken away by other threads between a call's checks and its run are an error, not a crash.
#[test]
fn gradients_that_come_and_go() {
    let w = Tensor::ones(&[4], DType::F32).requires_grad();
    let step = trace(|x: &Tensor| (x * &w).sum().backward());
    let x = Tensor::ones(&[4], DType::F32);
    // One variant that makes the gradient, and one that adds to it.
    step.call(&x).unwrap();
    step.call(&x).unwrap();
    assert_eq!(w.grad().unwrap().to_vec::<f32>(), [2.0; 4]);
    thread::scope(|s| {
        let calls = s.spawn(|| {
            for _ in 0..2000 {
                if let Err(e) = step.call(&x) {
                    assert!(e.to_string().contains("another thread"), "{e}");
                }
            }
        });
        while !calls.is_finished() {
            w.set_grad(None);
        }
    });
}

#[test]
fn a_function_that_calls_itself_is_an_error() {
    type Function = allotrope::trace::Traced<Box<dyn FnMut(&Tensor) -> Tensor>, Tensor, 1>;
    let this: Rc<OnceCell<Function>> = Rc::default();
    let inside = Rc::clone(&this);
    let calls: Box<dyn FnMut(&Tensor) -> Tensor> =
        Box::new(move |x| inside.get().expect("it was put there").call(&(x - 1.0)).expect("the inner call"));
    assert!(this.set(trace(calls)).is_ok());
    let x = Tensor::ones(&[2], DType::F32);
    for _ in 0..2 {
        let error = this.get().unwrap().call(&x).unwrap_err().to_string();
        assert!(error.contains("calls itself while it is recorded"), "{error}");
    }
}

/// Two functions that call each other, recorded by two threads at the same time.
#[test]
fn functions_that_call_each_other_are_an_error() {
    type Function = allotrope::trace::Traced<Box<dyn FnMut(&Tensor) -> Tensor + Send>, Tensor, 1>;
    static FUNCTIONS: [OnceLock<Function>; 2] = [const { OnceLock::new() }; 2];
    static RECORDING: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    for me in 0..2 {
        let calls: Box<dyn FnMut(&Tensor) -> Tensor + Send> = Box::new(move |x| {
            RECORDING[me].store(1, Ordering::SeqCst);
            // Both begin before either goes on.
            for _ in 0..1000 {
                if RECORDING[1 - me].load(Ordering::SeqCst) == 1 {
                    break;
                }
                thread::sleep(std::time::Duration::from_millis(1));
            }
            FUNCTIONS[1 - me].get().expect("it was put there").call(x).expect("the inner call")
        });
        assert!(FUNCTIONS[me].set(trace(calls)).is_ok());
    }
    let x = Tensor::ones(&[2], DType::F32);
    let errors: Vec<String> = thread::scope(|s| {
        let call = |me: usize| {
            let x = &x;
            s.spawn(move || FUNCTIONS[me].get().unwrap().call(x).unwrap_err().to_string())
        };
        let both = [call(0), call(1)];
        both.map(|t| t.join().unwrap()).into()
    });
    for error in errors {
        assert!(error.contains("never end"), "{error}");
    }
}

/// The error of a call by a thread that the closure starts and joins, and what the whole call says.
fn calls_in_its_own_thread(call: impl Fn(&Tensor) -> allotrope::Result<Tensor> + Sync, inside: &OnceLock<String>) {
    let x = Tensor::ones(&[2], DType::F32);
    let error = call(&x).unwrap_err().to_string();
    assert!(error.contains("the thread could not call it"), "{error}");
    let inner = inside.get().expect("the inner call's error");
    assert!(
        inner.contains("another thread records this function") && inner.contains("waits for this thread"),
        "{inner}"
    );
}

/// A closure that starts a thread, which calls the same function, and joins it: each would wait for the other.
#[test]
fn a_function_that_calls_itself_in_another_thread_is_an_error() {
    type Closure = Box<dyn FnMut(&Tensor) -> Tensor + Send>;
    fn closure(call: fn(&Tensor) -> allotrope::Result<Tensor>, inside: &'static OnceLock<String>) -> Closure {
        Box::new(move |x| {
            let started = thread::spawn(move || call(&Tensor::ones(&[2], DType::F32)).map(drop));
            if let Err(e) = started.join().expect("no panic") {
                let _ = inside.set(e.to_string());
                panic!("the thread could not call it");
            }
            x * 2.0
        })
    }
    static TRACED: OnceLock<allotrope::trace::Traced<Closure, Tensor, 1>> = OnceLock::new();
    static DYNAMIC: OnceLock<allotrope::trace::DynamicTraced<Closure, 1>> = OnceLock::new();
    static ERRORS: [OnceLock<String>; 2] = [const { OnceLock::new() }; 2];
    let call_traced: fn(&Tensor) -> _ = |x| TRACED.get().unwrap().call(x);
    let call_dynamic: fn(&Tensor) -> _ = |x| DYNAMIC.get().unwrap().call(x);
    assert!(TRACED.set(trace(closure(call_traced, &ERRORS[0]))).is_ok());
    assert!(DYNAMIC.set(trace_dynamic(closure(call_dynamic, &ERRORS[1]))).is_ok());
    thread::scope(|s| {
        s.spawn(|| calls_in_its_own_thread(call_traced, &ERRORS[0]));
        s.spawn(|| calls_in_its_own_thread(call_dynamic, &ERRORS[1]));
    });
}

/// A closure that takes its time is waited for, be it busy or asleep.
#[test]
fn a_slow_closure_is_waited_for() {
    for busy in [true, false] {
        let slow = trace(move |x: &Tensor| {
            let (start, long) =
                (std::time::Instant::now(), std::time::Duration::from_millis(if busy { 4000 } else { 1500 }));
            if !busy {
                thread::sleep(long);
            }
            while start.elapsed() < long {
                std::hint::spin_loop();
            }
            x * 2.0
        });
        let x = Tensor::ones(&[2], DType::F32);
        thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| assert_eq!(slow.call(&x).unwrap().to_vec::<f32>(), [2.0; 2]));
            }
        });
        assert_eq!(slow.compilations(), 1);
    }
}
