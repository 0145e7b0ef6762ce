//! Recurrent layers with sequences of different lengths, against PyTorch and in both modes; a layer of one's own; and what does not fit.
//! `tests/data/recurrent.py` writes the reference.

use crate::alone;
use allotrope::nn::rnn::{
    PackedSequence, PadPackedOptions, PadSequenceOptions, PaddingSide, pack_padded_sequence, pack_sequence,
    pad_packed_sequence, pad_sequence, try_pack_padded_sequence, try_pad_packed_sequence, try_pad_sequence,
    try_unpad_sequence, unpad_sequence,
};
use allotrope::nn::{Gru, GruOptions, Lstm, LstmOptions, Nonlinearity, Rnn, RnnOptions};
use allotrope::ops::grad;
use allotrope::prelude::*;
use serde_json::Value;

/// A layer of any of the three kinds.
enum Layer {
    Rnn(Rnn),
    Lstm(Lstm),
    Gru(Gru),
}

impl Layer {
    /// The layer of a case, drawn from its seed.
    fn of(case: &Value) -> Layer {
        let o = &case["options"];
        let number = |name: &str, default: usize| o[name].as_u64().map_or(default, |n| n as usize);
        let flag = |name: &str, default: bool| o[name].as_bool().unwrap_or(default);
        let (num_layers, bias, batch_first) = (number("num_layers", 1), flag("bias", true), flag("batch_first", false));
        let (dropout, bidirectional) = (o["dropout"].as_f64().unwrap_or(0.0), flag("bidirectional", false));
        manual_seed(case["seed"].as_u64().expect("a seed"));
        match case["kind"].as_str().expect("a kind") {
            "RNN" => {
                let nonlinearity = if o["nonlinearity"] == "relu" { Nonlinearity::Relu } else { Nonlinearity::Tanh };
                let options = RnnOptions {
                    num_layers,
                    nonlinearity,
                    bias,
                    batch_first,
                    dropout,
                    bidirectional,
                    dtype: DType::F32,
                };
                Layer::Rnn(Rnn::with_options(3, 4, options))
            }
            "LSTM" => {
                let proj_size = number("proj_size", 0);
                let options =
                    LstmOptions { num_layers, bias, batch_first, dropout, bidirectional, proj_size, dtype: DType::F32 };
                Layer::Lstm(Lstm::with_options(3, 4, options))
            }
            _ => {
                let options = GruOptions { num_layers, bias, batch_first, dropout, bidirectional, dtype: DType::F32 };
                Layer::Gru(Gru::with_options(3, 4, options))
            }
        }
    }

    fn module(&self) -> &dyn Module {
        match self {
            Layer::Rnn(layer) => layer,
            Layer::Lstm(layer) => layer,
            Layer::Gru(layer) => layer,
        }
    }

    fn packed(&self, x: &PackedSequence, states: &[Tensor]) -> (PackedSequence, Vec<Tensor>) {
        match self {
            Layer::Rnn(layer) => one(layer.forward_packed(x, states.first())),
            Layer::Gru(layer) => one(layer.forward_packed(x, states.first())),
            Layer::Lstm(layer) => two(layer.forward_packed(x, pair(states))),
        }
    }

    fn padded(&self, x: &Tensor, lengths: &Tensor, states: &[Tensor]) -> (Tensor, Vec<Tensor>) {
        match self {
            Layer::Rnn(layer) => one(layer.forward_padded(x, lengths, states.first())),
            Layer::Gru(layer) => one(layer.forward_padded(x, lengths, states.first())),
            Layer::Lstm(layer) => two(layer.forward_padded(x, lengths, pair(states))),
        }
    }
}

fn one<T>((out, h): (T, Tensor)) -> (T, Vec<Tensor>) {
    (out, vec![h])
}

fn two<T>((out, (h, c)): (T, (Tensor, Tensor))) -> (T, Vec<Tensor>) {
    (out, vec![h, c])
}

fn pair(states: &[Tensor]) -> Option<(&Tensor, &Tensor)> {
    match states {
        [h, c] => Some((h, c)),
        _ => None,
    }
}

fn cases() -> Vec<Value> {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recurrent.json")).expect("the file");
    match serde_json::from_str(&text).expect("JSON") {
        Value::Array(cases) => cases,
        _ => panic!("a list of cases"),
    }
}

fn tensor(v: &Value) -> Tensor {
    let shape: Vec<usize> =
        v["shape"].as_array().expect("sizes").iter().map(|n| n.as_u64().expect("a size") as usize).collect();
    let data = v["data"].as_array().expect("numbers").iter();
    match v["int"] == true {
        true => Tensor::from_vec(data.map(|x| x.as_i64().expect("an integer")).collect(), &shape),
        false => Tensor::from_vec(data.map(|x| x.as_f64().expect("a number") as f32).collect(), &shape),
    }
}

/// x, h and c, as leaves.
fn given(case: &Value) -> Vec<Tensor> {
    ["x", "h", "c"]
        .iter()
        .filter(|name| !case["given"][**name].is_null())
        .map(|name| tensor(&case["given"][*name]).requires_grad())
        .collect()
}

fn lengths(case: &Value) -> Vec<usize> {
    case["lengths"].as_array().expect("lengths").iter().map(|n| n.as_u64().expect("a length") as usize).collect()
}

fn close(got: &Tensor, want: &Value, tolerance: f64, what: &str) {
    let want = tensor(want);
    assert_eq!((got.shape(), got.dtype()), (want.shape(), want.dtype()), "{what}");
    let values = |t: &Tensor| t.detach().to(DType::F64).to_vec::<f64>();
    for (a, b) in values(got).iter().zip(values(&want)) {
        assert!((a - b).abs() <= tolerance + tolerance * b.abs(), "{what}: {a}, wanted {b}");
    }
}

fn bits(tensors: &[Tensor]) -> Vec<Vec<u64>> {
    let of = |t: &Tensor| t.detach().to(DType::F64).to_vec::<f64>().into_iter().map(f64::to_bits).collect();
    tensors.iter().map(of).collect()
}

/// The loss of the reference.
fn loss(data: &Tensor, ends: &[Tensor]) -> Tensor {
    ends.iter().fold((data * data).sum(), |sum, end| sum + (end * &(end + 0.5)).sum())
}

fn gradients(loss: &Tensor, sources: &[Tensor]) -> Vec<Tensor> {
    let grads = grad(&[loss], &sources.iter().collect::<Vec<_>>(), false).expect("gradients");
    grads.into_iter().map(|g| g.expect("every source is used")).collect()
}

fn name(case: &Value) -> String {
    format!("{} {} lengths {}", case["kind"], case["options"], case["lengths"])
}

#[test]
fn packed_sequences_are_as_pytorchs() {
    let _drawing = alone();
    for case in cases() {
        let name = name(&case);
        let layer = Layer::of(&case);
        let (given, lengths) = (given(&case), lengths(&case));
        let batch_first = case["options"]["batch_first"] == true;
        manual_seed(case["seed"].as_u64().expect("a seed") + 2);
        let packed = pack_padded_sequence(&given[0], &lengths, batch_first, case["enforce_sorted"] == true);
        close(packed.data(), &case["packed"], 0.0, &format!("{name}: packed"));
        let (out, ends) = layer.packed(&packed, &given[1..]);
        let time = if batch_first { given[0].shape()[1] } else { given[0].shape()[0] };
        let options = PadPackedOptions { batch_first, total_length: Some(time), ..Default::default() };
        let (padded, back) = pad_packed_sequence(&out, options);
        let results = case["results"].as_array().expect("results");
        let mut got = vec![out.data().clone(), out.batch_sizes().clone(), padded, back];
        got.extend(ends.iter().cloned());
        got.extend(out.sorted_indices().into_iter().chain(out.unsorted_indices()).cloned());
        assert_eq!(got.len(), results.len(), "{name}");
        for (i, (got, want)) in got.iter().zip(results).enumerate() {
            close(got, want, 1e-5, &format!("{name}: result {i}"));
        }
        let sources: Vec<Tensor> = given.iter().cloned().chain(layer.module().parameters()).collect();
        for (i, (got, want)) in gradients(&loss(out.data(), &ends), &sources)
            .iter()
            .zip(case["grads"].as_array().expect("gradients"))
            .enumerate()
        {
            close(got, want, 1e-4, &format!("{name}: gradient {i}"));
        }
    }
}

#[test]
fn packed_sequences_have_equal_bits_in_a_trace_that_holds_for_all_lengths() {
    let _drawing = alone();
    for case in cases() {
        let name = name(&case);
        let layer = Layer::of(&case);
        let given = given(&case);
        let batch_first = case["options"]["batch_first"] == true;
        let sorted = case["enforce_sorted"] == true;
        let parameters = layer.module().parameters();
        let states = &given[1..];
        let step = |tensors: &[Tensor]| {
            let (states, packed) = tensors.split_at(states.len());
            let packed = PackedSequence::from_tensors(packed).expect("a packed sequence");
            let (out, ends) = layer.packed(&packed, states);
            let (padded, back) = pad_packed_sequence(&out, PadPackedOptions { batch_first, ..Default::default() });
            let grads = gradients(&loss(out.data(), &ends), &parameters);
            [out.tensors(), ends, grads, vec![padded, back]].concat()
        };
        let traced = trace(step);
        let steps = if batch_first { given[0].shape()[1] } else { given[0].shape()[0] };
        let mut calls = vec![lengths(&case)];
        if steps > 2 {
            // The longest sequence of this call is shorter, and there are fewer rows.
            calls.push(lengths(&case).iter().map(|&n| n.min(2)).collect());
        }
        for lengths in calls {
            let packed = pack_padded_sequence(&given[0].detach(), &lengths, batch_first, sorted);
            let arguments: Vec<Tensor> = states.iter().cloned().chain(packed.tensors()).collect();
            manual_seed(3);
            let eager = step(&arguments);
            manual_seed(3);
            let got = traced.call(&arguments).expect("a call");
            assert_eq!(bits(&got), bits(&eager), "{name}: lengths {lengths:?}");
        }
        assert_eq!(traced.compilations(), 1, "{name}");
    }
}

#[test]
fn padded_sequences_give_what_packed_ones_do_and_take_lengths_as_an_argument() {
    let _drawing = alone();
    for case in cases().iter().filter(|case| case["options"]["dropout"].is_null()) {
        let name = name(case);
        let layer = Layer::of(case);
        let (given, numbers) = (given(case), lengths(case));
        let batch_first = case["options"]["batch_first"] == true;
        let to_tensor =
            |numbers: &[usize]| Tensor::from_vec(numbers.iter().map(|&n| n as i64).collect(), &[numbers.len()]);
        let sources: Vec<Tensor> = given.iter().cloned().chain(layer.module().parameters()).collect();
        let (out, ends) = layer.padded(&given[0], &to_tensor(&numbers), &given[1..]);
        let results = case["results"].as_array().expect("results");
        close(&out, &results[2], 1e-5, &format!("{name}: padded output"));
        for (end, want) in ends.iter().zip(&results[4..]) {
            close(end, want, 1e-5, &format!("{name}: last state"));
        }
        for (got, want) in
            gradients(&loss(&out, &ends), &sources).iter().zip(case["grads"].as_array().expect("gradients"))
        {
            close(got, want, 1e-4, &format!("{name}: gradient"));
        }
        let parameters = layer.module().parameters();
        let step = |tensors: &[Tensor]| {
            let (out, ends) = layer.padded(&tensors[0], &tensors[1], &tensors[2..]);
            let grads = gradients(&loss(&out, &ends), &parameters);
            [vec![out], ends, grads].concat()
        };
        let traced = trace(step);
        for numbers in [numbers.clone(), vec![1; numbers.len()]] {
            let arguments: Vec<Tensor> =
                [given[0].clone(), to_tensor(&numbers)].into_iter().chain(given[1..].iter().cloned()).collect();
            assert_eq!(bits(&traced.call(&arguments).expect("a call")), bits(&step(&arguments)), "{name}: {numbers:?}");
        }
        assert_eq!(traced.compilations(), 1, "{name}");
        // A length that does not fit is an error of the call in both modes.
        for bad in [0, given[0].shape()[usize::from(batch_first)] + 1] {
            let mut numbers = numbers.clone();
            numbers[0] = bad;
            let mut arguments = vec![given[0].clone(), to_tensor(&numbers)];
            arguments.extend(given[1..].iter().cloned());
            let text = traced.call(&arguments).expect_err("a length that does not fit").to_string();
            assert!(text.contains("each length must be at least 1"), "{name}: {text}");
        }
    }
}

#[test]
fn what_stands_behind_the_end_of_a_sequence_is_not_seen() {
    let _drawing = alone();
    manual_seed(1);
    let gru = Gru::with_options(2, 3, GruOptions { bidirectional: true, ..Default::default() });
    let lengths = Tensor::from_vec(vec![1i64, 3], &[2]);
    let x = randn(&[3, 2, 2]);
    let spoiled = x.copy();
    spoiled.narrow(0, 1, 2).narrow(1, 0, 1).fill_(f64::NAN);
    let run = |x: &Tensor| {
        let (out, h) = gru.forward_padded(x, &lengths, None);
        let grads = gradients(&loss(&out, std::slice::from_ref(&h)), &gru.parameters());
        bits(&[vec![out, h], grads].concat())
    };
    assert_eq!(run(&spoiled), run(&x));
}

/// A layer of one's own, of public parts only: minimal gated units (Zhou and others 2016), one gate.
#[derive(Module)]
struct GatedUnits {
    gate: nn::Linear,
    candidate: nn::Linear,
    #[module(skip)]
    hidden: usize,
}

impl GatedUnits {
    fn new(inputs: usize, hidden: usize) -> GatedUnits {
        let layer = || nn::Linear::new(inputs + hidden, hidden);
        GatedUnits { gate: layer(), candidate: layer(), hidden }
    }

    /// `[time, batch, in]` to `[time, batch, hidden]`; time and batch stay symbolic in a trace.
    fn forward(&self, x: &Tensor) -> Tensor {
        let start = x.new_zeros(&[x.sizes()[1], self.hidden.into()]);
        let (_, states) = scan(start, x.clone(), |h, x| {
            let f = self.gate.forward(&cat(&[&x, &h], -1)).sigmoid();
            let n = self.candidate.forward(&cat(&[&x, &(&f * &h)], -1)).tanh();
            let h = &h + &(&f * &(&n - &h));
            (h.clone(), h)
        });
        states
    }
}

#[test]
fn a_recurrent_layer_of_ones_own_needs_public_parts_only() {
    let _drawing = alone();
    manual_seed(2);
    let layer = GatedUnits::new(2, 4);
    let names: Vec<String> = layer.named_parameters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["gate.weight", "gate.bias", "candidate.weight", "candidate.bias"]);
    let step = |x: &Tensor| {
        let y = layer.forward(x);
        let grads = gradients(&(&y * &y).sum(), &layer.parameters());
        [vec![y], grads].concat()
    };
    let traced = trace(step);
    for (time, batch) in [(3, 2), (7, 5), (2, 3)] {
        let x = randn(&[time, batch, 2]);
        let eager = step(&x);
        assert_eq!(eager[0].shape(), [time, batch, 4]);
        assert_eq!(bits(&traced.call(&x).expect("a call")), bits(&eager));
    }
    assert_eq!(traced.compilations(), 1);
}

#[test]
fn sequences_are_put_together_and_taken_apart() {
    let _drawing = alone();
    let parts = [Tensor::arange(1..3), Tensor::arange(3..4), Tensor::arange(4..7)];
    let options = PadSequenceOptions { batch_first: true, padding_value: -1.0, padding_side: PaddingSide::Left };
    assert_eq!(pad_sequence(&parts, options).to_vec::<i64>(), [-1, 1, 2, -1, -1, 3, 4, 5, 6]);
    let padded = pad_sequence(&parts, Default::default());
    assert_eq!((padded.shape(), padded.to_vec::<i64>()), (&[3, 3][..], vec![1, 3, 4, 2, 0, 5, 0, 0, 6]));
    let apart = unpad_sequence(&padded, &[2, 1, 3], false);
    assert!(apart.iter().zip(&parts).all(|(a, b)| a.to_vec::<i64>() == b.to_vec::<i64>()));
    let packed = pack_sequence(&parts, false);
    assert_eq!(packed.data().to_vec::<i64>(), [4, 1, 3, 5, 2, 6]);
    assert_eq!(packed.sorted_indices().expect("it was sorted").to_vec::<i64>(), [2, 0, 1]);
    let options = PadPackedOptions { padding_value: 9.0, total_length: Some(4), ..Default::default() };
    let (again, lengths) = pad_packed_sequence(&packed, options);
    assert_eq!(again.to_vec::<i64>(), [1, 3, 4, 2, 9, 5, 9, 9, 6, 9, 9, 9]);
    assert_eq!(lengths.to_vec::<i64>(), [2, 1, 3]);
    let halved = packed.with_data(packed.data().to(DType::F64) / 2.0);
    assert_eq!(halved.data().to_vec::<f64>(), [2.0, 0.5, 1.5, 2.5, 1.0, 3.0]);
}

/// The numbers are PyTorch's.
#[test]
fn layers_of_doubles_are_drawn_and_computed_as_doubles() {
    let _drawing = alone();
    let x = Tensor::from_vec((0..4).map(|i| f64::from(i) / 4.0).collect(), &[2, 1, 2]);
    let near = |got: &Tensor, want: &[f64]| {
        let got = got.detach().to_vec::<f64>();
        assert_eq!(got.len(), want.len());
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-13), "{got:?}, wanted {want:?}");
    };
    let dtype = DType::F64;
    manual_seed(1);
    let (_, h) = Gru::with_options(2, 3, GruOptions { dtype, ..Default::default() }).forward(&x, None);
    near(&h, &[-0.1946237163667213, -0.15617196060723243, 0.039852549801162596]);
    manual_seed(1);
    let lstm = Lstm::with_options(2, 3, LstmOptions { dtype, proj_size: 2, ..Default::default() });
    let (_, (h, c)) = lstm.forward(&x, None);
    near(&h, &[-0.03365594410699736, -0.025044154592291007]);
    near(&c, &[0.12080347435001795, -0.40311142291657365, 0.1380851926495903]);
    manual_seed(1);
    let attention = nn::MultiheadAttention::with_options(2, 1, nn::MultiheadOptions { dtype, ..Default::default() });
    let (y, weights) = attention.forward(&x, &x, &x, Default::default());
    near(&y, &[0.39348311706697126, 0.2827320550920159, 0.3922553228151019, 0.2819091869165371]);
    let weights = weights.expect("they were asked for");
    near(&weights, &[0.5022339301102641, 0.49776606988973593, 0.5047856402931619, 0.49521435970683797]);
}

#[test]
fn packing_inside_of_a_trace_says_where_the_lengths_are_asked_for() {
    let traced = trace(|x: &Tensor, lengths: &Tensor| pack_padded_sequence(x, lengths, false, true).data().clone());
    let text = traced.call((&Tensor::zeros(&[3, 2, 1], DType::F32), &Tensor::from_vec(vec![3i64, 1], &[2])));
    says(text, &["trace", "lengths of sequences", "tests/nn/recurrent.rs"]);
}

fn says<T>(result: allotrope::Result<T>, parts: &[&str]) {
    let text = result.err().expect("it does not fit").to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
}

#[test]
fn what_does_not_fit_says_so() {
    let _drawing = alone();
    let x = Tensor::zeros(&[3, 2, 4], DType::F32);
    let pack = |lengths: &[usize], sorted| try_pack_padded_sequence(&x, lengths, false, sorted);
    says(pack(&[1, 3], true), &["pack_padded_sequence", "[1, 3]", "must not increase"]);
    says(pack(&[3, 0], true), &["1 to 3", "[3, 0]"]);
    says(pack(&[4, 1], true), &["1 to 3", "[4, 1]"]);
    says(pack(&[3], true), &["1 lengths", "2 sequences"]);
    let floats = Tensor::ones(&[2], DType::F32);
    says(try_pack_padded_sequence(&x, &floats, false, true), &["integers [batch]", "f32[2]"]);
    says(try_pack_padded_sequence(&floats, &[1], false, true), &["[time, batch, ..]", "[2]"]);
    says(try_pack_padded_sequence(&x.narrow(0, 0, 0), &[1, 1], false, true), &["nothing to pack", "[0, 2, 4]"]);
    let packed = pack(&[3, 1], true).expect("it fits");
    let short = PadPackedOptions { total_length: Some(2), ..Default::default() };
    says(try_pad_packed_sequence(&packed, short), &["total_length", "3", "2"]);
    says(packed.try_with_data(floats.clone()), &["[2]", "4 rows"]);
    says(PackedSequence::from_tensors(std::slice::from_ref(&floats)), &["4 or 6 tensors", "1"]);
    says(try_pad_sequence(&[], Default::default()), &["pad_sequence", "at least one"]);
    says(try_pad_sequence(&[floats.clone(), x.clone()], Default::default()), &["[2]", "[3, 2, 4]"]);
    says(try_unpad_sequence(&x, &[1, 5], false), &["unpad_sequence", "1 to 3", "[1, 5]"]);

    let gru = Gru::new(4, 5);
    says(Gru::new(3, 5).try_forward_packed(&packed, None), &["gru", "in = 3", "[4, 4]"]);
    says(gru.try_forward_packed(&packed, &Tensor::zeros(&[1, 3, 5], DType::F32)), &["[1, 2, 5]", "[1, 3, 5]"]);
    says(gru.try_forward_padded(&x, &floats, None), &["i64 [batch] = [2]", "f32[2]"]);
    let too_long = Tensor::from_vec(vec![4i64, 1], &[2]);
    says(gru.try_forward_padded(&x, &too_long, None), &["gru", "each length"]);
    says(
        gru.try_forward(&Tensor::zeros(&[3, 4], DType::F32), &Tensor::zeros(&[1, 1, 5], DType::F32)),
        &["no batch axis", "[1, 5]"],
    );
    says(
        Lstm::new(4, 5)
            .try_forward(&x, (&Tensor::zeros(&[1, 2, 5], DType::F32), &Tensor::zeros(&[1, 2, 4], DType::F32))),
        &["lstm", "cell state", "[1, 2, 5]", "[1, 2, 4]"],
    );
    says(
        Lstm::try_with_options(2, 3, LstmOptions { proj_size: 3, ..Default::default() }),
        &["Lstm", "proj_size", "3 and 3"],
    );
    says(Gru::try_with_options(2, 3, GruOptions { dropout: 1.5, ..Default::default() }), &["Gru", "dropout", "1.5"]);
    says(Gru::try_with_options(0, 3, GruOptions::default()), &["Gru", "input_size 0"]);
    says(Gru::try_with_options(2, 3, GruOptions { dtype: DType::I64, ..Default::default() }), &["Gru", "i64"]);
    says(nn::LstmCell::new(2, 3).try_forward(&floats, (&floats, &floats)), &["lstm_cell", "[hidden] = [3]", "[2]"]);
    says(nn::RnnCell::new(2, 3).try_forward(&x, None), &["rnn_cell", "[batch, in]", "in = 2", "[3, 2, 4]"]);
}
