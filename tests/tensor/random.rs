//! What generators draw, and ranges, against PyTorch (`tests/data/draws.json`, recorded by `draws.py` beside it, and the
//! recorded streams in `tests/data/golden`). Integers, uniforms, states and ranges to the last bit; what goes through
//! logarithms, sines and powers within units in the last place.

use allotrope::nn::init;
use allotrope::prelude::*;
use allotrope::tensor::random::{default_generator, fork_rng, get_rng_state, set_rng_state};
use serde_json::Value;
use std::sync::{Mutex, MutexGuard};

/// Tests that use the default generator go one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|e| e.into_inner())
}

fn data() -> Value {
    serde_json::from_str(include_str!("../data/draws.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    match v {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        v => vec![v.as_f64().unwrap()],
    }
}

fn wide(x: &Tensor) -> Vec<f64> {
    x.to(DType::F64).to_vec()
}

/// `ulps` is how far the elements may be off; 0 demands equal bits.
#[track_caller]
fn same(what: &str, got: &Tensor, want: &Value, ulps: f64) {
    let shape: Vec<usize> = numbers(&want["shape"]).into_iter().map(|n| n as usize).collect();
    assert_eq!(got.shape(), shape, "{what}");
    let bits = want["bits"].as_array().unwrap();
    let (dtype, epsilon): (_, f64) = match want["dtype"].as_str().unwrap() {
        "float32" => (DType::F32, f32::EPSILON.into()),
        "float64" => (DType::F64, f64::EPSILON),
        "int64" => (DType::I64, 0.0),
        "bool" => (DType::Bool, 0.0),
        other => panic!("{other}"),
    };
    assert_eq!(got.dtype(), dtype, "{what}");
    let number = |v: &Value| v.as_str().map_or_else(|| v.as_i64().unwrap(), |s| s.parse::<u64>().unwrap() as i64);
    let want: Vec<f64> = match dtype {
        DType::F32 => bits.iter().map(|b| f32::from_bits(number(b) as u32).into()).collect(),
        DType::F64 => bits.iter().map(|b| f64::from_bits(number(b) as u64)).collect(),
        DType::I64 => {
            let want: Vec<i64> = bits.iter().map(number).collect();
            return assert_eq!(got.to_vec::<i64>(), want, "{what}");
        }
        _ => bits.iter().map(|b| number(b) as f64).collect(),
    };
    for (i, (g, w)) in wide(got).iter().zip(&want).enumerate() {
        let off = (g - w).abs() / w.abs().max(f64::MIN_POSITIVE) / epsilon.max(f64::MIN_POSITIVE);
        assert!(g == w || off <= ulps, "{what}, element {i}: {g:?} where PyTorch has {w:?}");
    }
}

#[test]
fn draws_are_pytorchs_one_after_the_other() {
    let data = data();
    let g = &Generator::new(7);
    let (f, d) = (DType::F32, DType::F64);
    let weights = Tensor::from_vec(vec![0.1f32, 3.0, 0.0, 2.0, 0.7], &[5]);
    let rows = Tensor::from_vec(vec![0.2f32, 1.0, 0.5, 3.0, 1.0, 0.01], &[2, 3]);
    let p = Tensor::from_vec(vec![0.1f32, 0.5, 0.9, 0.0, 1.0, 0.3], &[6]);
    let spread = Tensor::from_vec(vec![0.1f32, 0.2, 0.3], &[3]);
    let means = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]);
    let filled = |t: Tensor, fill: &dyn Fn(&Tensor)| {
        fill(&t);
        t
    };
    let empty = |shape: &[usize], dtype| Tensor::empty(shape, dtype);
    let check = |name: &str, ulps: f64, got: Tensor| same(name, &got, &data["draws"][name], ulps);
    // Box-Muller cancels nothing; the elementary functions of both sides are within a few units.
    let near = 16.0;
    check("rand", 0.0, g.rand(&[5], f));
    check("rand f64", 0.0, g.rand(&[5], d));
    check("randn 5", near, g.randn(&[5], f));
    check("randn 16", near, g.randn(&[16], f));
    check("randn 37", near, g.randn(&[37], f));
    check("randn f64 3", near, g.randn(&[3], d));
    check("randn f64 21", near, g.randn(&[3, 7], d));
    check("randint", 0.0, g.randint(-5, 90, &[7]));
    check("randint large", 0.0, g.randint(0, 1 << 40, &[3]));
    check("randperm", 0.0, g.randperm(9));
    check("uniform_", 0.0, filled(empty(&[6], f), &|t| g.uniform_(t, -2.0, 3.0)));
    check("uniform_ f64", 0.0, filled(empty(&[6], d), &|t| g.uniform_(t, -2.0, 3.0)));
    check("normal_", near, filled(empty(&[6], f), &|t| g.normal_(t, 1.0, 0.25)));
    check("normal_ 20", near, filled(empty(&[20], f), &|t| g.normal_(t, 1.0, 0.25)));
    check("exponential_", near, filled(empty(&[6], f), &|t| g.exponential_(t, 1.5)));
    check("exponential_ f64", near, filled(empty(&[6], d), &|t| g.exponential_(t, 1.5)));
    check("random_ f32", 0.0, filled(empty(&[4], f), &|t| g.random_(t)));
    check("random_ f64", 0.0, filled(empty(&[4], d), &|t| g.random_(t)));
    check("random_ i64", 0.0, filled(empty(&[4], DType::I64), &|t| g.random_(t)));
    check("random_ bool", 0.0, filled(empty(&[6], DType::Bool), &|t| g.random_(t)));
    check("random_range_", 0.0, filled(empty(&[6], f), &|t| g.random_range_(t, -3, 12)));
    check("bernoulli_ p", 0.0, filled(empty(&[10], f), &|t| g.bernoulli_(t, 0.3)));
    check("bernoulli_ i64", 0.0, filled(empty(&[10], DType::I64), &|t| g.bernoulli_(t, 0.3)));
    check("bernoulli_ tensor", 0.0, filled(empty(&[6], f), &|t| g.bernoulli_(t, &p)));
    check("bernoulli", 0.0, g.bernoulli(&p));
    check("bernoulli f64", 0.0, g.bernoulli(&p.to(d)));
    let column = Tensor::from_vec(vec![1.0f32, 2.0], &[2, 1]);
    check("normal mean and std", near, g.normal(&column, &spread));
    check("normal mean", near, g.normal(&means, 0.5));
    check("normal std", near, g.normal(2.0, &spread));
    check("normal numbers", near, g.normal_of(&[4], f, 2.0, 0.5));
    check("multinomial", 0.0, g.multinomial(&weights, 9, true));
    check("multinomial one", 0.0, g.multinomial(&weights, 1, true));
    check("multinomial without", 0.0, g.multinomial(&weights, 4, false));
    check("multinomial rows", 0.0, g.multinomial(&rows, 6, true));
    check("multinomial rows without f64", 0.0, g.multinomial(&rows.to(d), 2, false));
    check("transposed normal_", near, filled(empty(&[5, 4], f).t(), &|t| g.normal_(t, 0.0, 1.0)));
    let turned = empty(&[2, 3, 4], f).permute(&[2, 0, 1]);
    check("transposed uniform_", 0.0, filled(turned, &|t| g.uniform_(t, 0.0, 1.0)));
    check("part uniform_", 0.0, filled(empty(&[4, 6], f).narrow(1, 1, 3), &|t| g.uniform_(t, 0.0, 1.0)));
    check("part normal_", near, filled(empty(&[10, 6], f).narrow(1, 1, 3), &|t| g.normal_(t, 0.0, 1.0)));
    check("transposed bernoulli_", 0.0, filled(empty(&[5, 4], f).t(), &|t| g.bernoulli_(t, 0.5)));
    check("transposed bernoulli", 0.0, g.bernoulli(&p.reshape(&[3, 2]).t()));
    let matrix = filled(empty(&[3, 2], f).t(), &|t| g.bernoulli_(t, &p.reshape(&[2, 3])));
    check("transposed bernoulli_ tensor", 0.0, matrix);
    check("last", 0.0, g.rand(&[2], f));
    assert_eq!(data["draws"].as_object().unwrap().len(), 43, "every draw was checked");
}

#[test]
fn tensors_like_others_and_dropout() {
    let _turn = alone();
    let data = data();
    manual_seed(7);
    same("rand_like", &rand_like(&Tensor::empty(&[3], DType::F32)), &data["likes"]["rand_like"], 0.0);
    let turned = randn_like(&Tensor::empty(&[5, 4], DType::F32).t());
    assert_eq!(turned.strides()[..], [1, 4]);
    same("randn_like", &turned, &data["likes"]["randn_like transposed"], 16.0);
    let whole = randint_like(&Tensor::empty(&[2, 3], DType::F32), -4, 50);
    same("randint_like", &whole, &data["likes"]["randint_like"], 0.0);
    let mask = default_generator().dropout_mask(&[12], DType::F32, 0.3);
    same("dropout", &mask, &data["likes"]["dropout"], 0.0);
    let before = get_rng_state();
    assert_eq!(wide(&default_generator().dropout_mask(&[2], DType::F32, 0.0)), [1.0, 1.0]);
    assert_eq!(wide(&default_generator().dropout_mask(&[2], DType::F32, 1.0)), [0.0, 0.0]);
    assert!(before == get_rng_state(), "nothing is drawn where nothing is left to chance");
}

/// Every stream of the recorded file, layers that do not exist yet by what they draw.
#[test]
fn recorded_streams() {
    let _turn = alone();
    let golden: Value = serde_json::from_str(include_str!("../data/golden/rng_streams.seed1.json")).unwrap();
    let streams = &golden["streams"];
    let near = |name: &str, got: &Tensor, want: &Value| {
        let (got, want) = (wide(got), numbers(want));
        assert_eq!(got.len(), want.len(), "{name}");
        let ok = |(g, w): (&f64, &f64)| (g - w).abs() <= 2e-6 * w.abs().max(1e-3);
        assert!(got.iter().zip(&want).all(ok), "{name}: {got:?} where PyTorch has {want:?}");
    };
    // The parser is off by a unit of f64 now and then, which f32 does not notice.
    let single = |v: &Value| numbers(v).into_iter().map(|x| f64::from(x as f32)).collect::<Vec<_>>();
    let exact = |name: &str, got: &Tensor| assert_eq!(wide(got), single(&streams[name]), "{name}");

    manual_seed(1);
    exact("rand_5", &rand(&[5]));
    near("randn_5", &randn(&[5]), &streams["randn_5"]);
    near("randn_20", &randn(&[20]), &streams["randn_20"]);
    exact("randint_0_100_8", &randint(0, 100, &[8]));
    exact("randperm_12", &randperm(12));
    exact("rand_after", &rand(&[3]));
    near("randn_double_4", &default_generator().randn(&[4], DType::F64), &streams["randn_double_4"]);
    exact("bernoulli_0.3_10", &bernoulli(&Tensor::full(&[10], 0.3f32)));

    manual_seed(1);
    let layer = nn::Linear::new(3, 2);
    exact("linear_3_2_weight", &layer.weight);
    exact("linear_3_2_bias", layer.bias.as_ref().unwrap());

    // nn.Linear and nn.Conv2d begin alike: uniform by the fan-in, the bias with the bound 1 / √fan-in.
    manual_seed(1);
    let weight = Tensor::empty(&[2, 1, 3, 3], DType::F32);
    init::kaiming_uniform_(&weight, 5f64.sqrt());
    near("conv2d weight", &weight.sum(), &streams["conv2d_1_2_3_weight_sum"]);
    exact("conv2d_bias", Tensor::empty(&[2], DType::F32).uniform_(-1.0 / 9f64.sqrt(), 1.0 / 9f64.sqrt()));

    // nn.LSTM: every weight uniform by the hidden size, four gates above each other.
    manual_seed(1);
    let bound = 1.0 / 3f64.sqrt();
    for (name, shape) in
        [("weight_ih_l0", &[12, 2][..]), ("weight_hh_l0", &[12, 3]), ("bias_ih_l0", &[12]), ("bias_hh_l0", &[12])]
    {
        let drawn = Tensor::empty(shape, DType::F32);
        assert_eq!(wide(drawn.uniform_(-bound, bound)), single(&streams["lstm_2_3"][name]), "{name}");
    }

    // nn.Embedding: standard normal.
    manual_seed(1);
    let table = Tensor::empty(&[4, 3], DType::F32);
    near("embedding_4_3", table.normal_(0.0, 1.0), &streams["embedding_4_3"]);

    manual_seed(1);
    exact("dropout_0.5_ones_16", &default_generator().dropout_mask(&[16], DType::F32, 0.5));
    assert_eq!(streams.as_object().unwrap().len(), 15, "every stream was checked");
}

fn hex(v: &Value) -> Vec<u8> {
    let text = v.as_str().unwrap();
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn states_are_pytorchs_byte_for_byte() {
    let data = data();
    let states = &data["states"];
    let g = Generator::new((1 << 40) + 7);
    assert_eq!(g.initial_seed(), (1 << 40) + 7);
    assert!(g.get_state() == hex(&states["seeded"]));
    g.manual_seed(3);
    g.rand(&[11], DType::F32);
    g.randn(&[1], DType::F32);
    // The kept sample is a cosine and a logarithm of this library: its bits may differ in the last places.
    let (ours, theirs) = (g.get_state(), hex(&states["kept sample"]));
    assert!(ours[..5024] == theirs[..5024] && ours[5032..] == theirs[5032..]);
    let kept = |s: &[u8]| f64::from_le_bytes(s[5024..5032].try_into().unwrap());
    assert!((kept(&ours) - kept(&theirs)).abs() < 1e-14);
    g.set_state(&theirs).unwrap();
    assert!(g.get_state() == theirs);
    g.rand(&[624 - 11 - 4], DType::F32);
    assert!(g.get_state() == hex(&states["batch used up"]));
    let follower = Generator::default();
    follower.set_state(&hex(&states["batch used up"])).unwrap();
    assert_eq!(follower.initial_seed(), 3);
    same("what follows", &follower.randn(&[3], DType::F32), &data["follows"], 16.0);
}

#[test]
fn states_come_back_and_what_is_none_is_refused() {
    let g = Generator::new(11);
    // At every place of a batch, with and without a kept sample.
    for n in [0, 1, 5, 300, 311, 312, 313, 623, 624, 625] {
        g.manual_seed(n as u64);
        g.rand(&[n], DType::F32);
        g.randn(&[n % 2], DType::F32);
        let other = Generator::new(0);
        other.set_state(&g.get_state()).unwrap();
        assert!(other.get_state() == g.get_state());
        assert_eq!(other.randn(&[700], DType::F64).to_vec::<f64>(), g.randn(&[700], DType::F64).to_vec::<f64>());
    }
    let before = g.get_state();
    let refused = |state: &[u8], why: &str| {
        let said = g.set_state(state).unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
        assert!(g.get_state() == before, "a refused state changes nothing");
    };
    refused(&[], "5056 bytes, got 0");
    refused(&before[1..], "5056 bytes, got 5055");
    refused(&vec![0; 5056], "not the state");
    let with = |at: usize, byte: u8| {
        let mut state = before.clone();
        state[at] = byte;
        state
    };
    refused(&with(10, 1), "words left of 624");
    refused(&with(17, 9), "next is word");
    refused(&with(24 + 5, 1), "more than 32 bits");
}

#[test]
fn clones_share_and_forks_do_not() {
    let g = Generator::new(5);
    let (shared, own) = (g.clone(), g.fork());
    let first = g.rand(&[3], DType::F32).to_vec::<f32>();
    assert_eq!(own.rand(&[3], DType::F32).to_vec::<f32>(), first);
    assert_ne!(shared.rand(&[3], DType::F32).to_vec::<f32>(), first);
    let seed = g.seed();
    assert_eq!(g.initial_seed(), seed);
    assert_eq!(
        Generator::new(seed).randint(0, 1 << 50, &[4]).to_vec::<i64>(),
        shared.randint(0, 1 << 50, &[4]).to_vec::<i64>()
    );

    let _turn = alone();
    manual_seed(1);
    let saved = get_rng_state();
    let inside = fork_rng(|| rand(&[2]).to_vec::<f32>());
    assert_eq!(rand(&[2]).to_vec::<f32>(), inside);
    set_rng_state(&saved).unwrap();
    assert_eq!(rand(&[2]).to_vec::<f32>(), inside);
}

#[test]
fn wrong_arguments_are_errors_and_draw_nothing() {
    let g = Generator::new(1);
    let x = Tensor::ones(&[3], DType::F32);
    let before = g.get_state();
    let said = |r: allotrope::Result<()>, part: &str| {
        let text = r.unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    };
    said(g.try_randint(3, 3, &[1]).map(drop), "low must be less than high, got 3 and 3");
    said(g.try_rand(&[2], DType::I64).map(drop), "draws floats, not i64");
    said(g.try_rand(&[usize::MAX, 2], DType::F32).map(drop), "too large");
    said(g.try_uniform_(&x, 2.0, 1.0), "low must not be above high");
    said(g.try_normal_(&x, 0.0, -1.0), "must not be negative");
    said(g.try_normal_(&Tensor::arange(3), 0.0, 1.0), "the tensor is i64");
    said(g.try_normal(1.0, 2.0).map(drop), "normal_of");
    said(g.try_normal(&x, &(&x * -1.0)).map(drop), "must not be negative");
    said(g.try_exponential_(&x, 0.0), "the rate must be above 0");
    said(g.try_bernoulli(&(&x * 1.5)).map(drop), "must be in [0, 1]");
    said(g.try_bernoulli_(&x, f64::NAN), "must be in [0, 1]");
    said(g.try_multinomial(&x, 4, false).map(drop), "can't draw 4 of 3 without replacement");
    said(g.try_multinomial(&(&x * 0.0), 1, true).map(drop), "weight above 0");
    said(g.try_multinomial(&(&x * -1.0), 1, true).map(drop), "not negative");
    said(g.try_dropout_mask(&[2], DType::F32, 1.5).map(drop), "must be in [0, 1]");
    said(g.try_uniform_(&x.unsqueeze(0).expand(&[2, 3]), 0.0, 1.0), "share memory");
    said(g.try_uniform_(&Tensor::ones(&[2], DType::F32).requires_grad(), 0.0, 1.0), "no_grad");
    assert!(g.get_state() == before);
    // Nothing to fill is fine.
    g.normal_(&Tensor::empty(&[0, 3], DType::F32), 0.0, 1.0);
    assert!(g.get_state() == before);
}

#[test]
fn recording_draws_nothing_and_each_call_draws_once() {
    let g = Generator::new(1);
    let f = trace(|x: &Tensor| (g.rand(&[2], DType::F32), g.randn_like(x), g.bernoulli(&(x * 0.5))));
    let x = Tensor::ones(&[2], DType::F32);
    let (uniform, normal, flags) = f.call(&x).unwrap();
    let same = Generator::new(1);
    assert_eq!(uniform.to_vec::<f32>(), same.rand(&[2], DType::F32).to_vec::<f32>());
    assert_eq!(normal.to_vec::<f32>(), same.randn_like(&x).to_vec::<f32>());
    assert_eq!(flags.to_vec::<f32>(), same.bernoulli(&(&x * 0.5)).to_vec::<f32>());
    assert!(g.get_state() == same.get_state());
    let f = trace(|x: &Tensor| g.try_multinomial(x, 1, true).unwrap_or_else(|_| x * 2.0));
    let refused = f.call(&x).unwrap_err().to_string();
    assert!(refused.contains("tests/tensor/random.rs"), "{refused}");
    assert!(g.get_state() == same.get_state());
}

#[test]
fn initialisers_fill_parameters() {
    let _turn = alone();
    manual_seed(1);
    let w = Tensor::empty(&[20, 30], DType::F32).requires_grad();
    for (fill, bound) in [
        (&(|| init::xavier_uniform_(&w, 1.0)) as &dyn Fn(), (6f64 / 50.0).sqrt()),
        (&|| init::kaiming_uniform_(&w, 0.0), (6f64 / 30.0).sqrt()),
        (&|| init::uniform_(&w, -0.5, 0.5), 0.5),
    ] {
        fill();
        let most = wide(&w.detach()).iter().fold(0f64, |m, x| m.max(x.abs()));
        assert!(most <= bound && most > 0.9 * bound, "{most} of {bound}");
    }
    for (fill, std) in [
        (&(|| init::xavier_normal_(&w, 2.0)) as &dyn Fn(), 2.0 * (2f64 / 50.0).sqrt()),
        (&|| init::kaiming_normal_(&w, 0.0), (2f64 / 30.0).sqrt()),
        (&|| init::normal_(&w, 0.0, 3.0), 3.0),
    ] {
        fill();
        let mean_square = wide(&w.detach()).iter().map(|x| x * x).sum::<f64>() / 600.0;
        assert!((mean_square.sqrt() / std - 1.0).abs() < 0.1, "{mean_square} of {std}");
    }
    init::constant_(&w, 0.25);
    assert!(wide(&w.detach()).iter().all(|x| *x == 0.25));
    assert!(w.is_leaf() && w.is_requires_grad());
    assert!(init::try_kaiming_uniform_(&Tensor::empty(&[3], DType::F32), 0.0).is_err());
}

#[test]
fn ranges_are_pytorchs_in_both_modes() {
    let data = data();
    let mut checked = 0;
    for case in data["ranges"].as_array().unwrap() {
        let number = |name: &str| case[name].as_f64().unwrap();
        let (start, end, by) = (number("start"), number("end"), number("by"));
        let dtype = match case["dtype"].as_str().unwrap() {
            "float32" => DType::F32,
            "float64" => DType::F64,
            _ => DType::I64,
        };
        let kind = case["kind"].as_str().unwrap();
        let make = || match kind {
            "linspace" => Tensor::linspace_with(start, end, by as usize, dtype),
            "logspace" => Tensor::logspace_with(start, end, by as usize, 10.0, dtype),
            _ if case["whole"] == true => Tensor::arange_with((start as i64, end as i64, by as i64), dtype),
            _ => Tensor::arange_with((start, end, by), dtype),
        };
        let what = format!("{kind} from {start} to {end} by {by} as {dtype}");
        let eager = make();
        same(&what, &eager, case, if kind == "logspace" { 8.0 } else { 0.0 });
        let traced = trace(|x: &Tensor| (make(), x + 1.0));
        let (recorded, _) = traced.call(&Tensor::ones(&[1], DType::F32)).unwrap();
        assert_eq!(recorded.dtype(), dtype, "{what}");
        let bits = |t: &Tensor| wide(t).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&recorded), bits(&eager), "{what}: eager and traced");
        checked += 1;
    }
    assert!(checked >= 50);
}

#[test]
fn ranges_of_every_form() {
    assert_eq!(Tensor::arange(3usize).to_vec::<i64>(), [0, 1, 2]);
    assert_eq!(Tensor::arange(3i64).to_vec::<i64>(), [0, 1, 2]);
    assert_eq!(Tensor::arange(2.5).to_vec::<f32>(), [0.0, 1.0, 2.0]);
    assert_eq!(Tensor::arange(-1..2).to_vec::<i64>(), [-1, 0, 1]);
    assert_eq!(Tensor::arange((3, 0, -1)).to_vec::<i64>(), [3, 2, 1]);
    assert_eq!(Tensor::arange((i64::MAX - 2, i64::MAX)).to_vec::<i64>(), [i64::MAX - 2, i64::MAX - 1]);
    assert_eq!(Tensor::arange(5..5).shape(), [0]);
    assert_eq!(Tensor::arange_with(3, DType::F64).to_vec::<f64>(), [0.0, 1.0, 2.0]);
    assert_eq!(Tensor::linspace_with(0.0, 10.0, 4, DType::I64).to_vec::<i64>(), [0, 3, 6, 10]);
    assert_eq!(Tensor::eye(2, 3, DType::F32).to_vec::<f32>(), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(Tensor::eye(3, 2, DType::Bool).to_vec::<bool>(), [true, false, false, true, false, false]);
    assert_eq!(Tensor::eye(0, None, DType::F32).shape(), [0, 0]);
    assert_eq!(Tensor::arange(2).full_like(7.9).to_vec::<i64>(), [7, 7]);
    assert_eq!(Tensor::empty(&[2, 0], DType::F64).empty_like().shape(), [2, 0]);
    for (wrong, why) in [
        (Tensor::try_arange((0, 1, 0)), "from 0 to 1 by 0: the step must not be 0"),
        (Tensor::try_arange(-3), "leads away from the end"),
        (Tensor::try_arange((0.0, 1.0, -0.5)), "from 0 to 1 by -0.5: the step leads away"),
        (Tensor::try_arange((0.0, f64::INFINITY)), "must be finite"),
        (Tensor::try_arange((0.0, 1.0, 1e-300)), "too many"),
        (Tensor::try_arange_with(3, DType::Bool), "not bool"),
        (Tensor::try_linspace_with(0.0, 1.0, 3, DType::Bool), "not bool"),
    ] {
        let said = wrong.unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    }
}

/// The length follows a size of the trace.
#[test]
fn a_range_as_long_as_an_axis() {
    let f = trace(|x: &Tensor| x + Tensor::arange_with(x.sizes()[0], DType::F32));
    for n in [3, 5, 8] {
        let y = f.call(&Tensor::zeros(&[n], DType::F32)).unwrap();
        assert_eq!(y.to_vec::<f32>(), (0..n).map(|i| i as f32).collect::<Vec<_>>());
    }
}
