"""Makes random programs, runs them in PyTorch, and writes what each step gave: one JSON document on each line.

    python scripts/random_programs.py --count 3000 --seed 1 --out /tmp/programs.jsonl
    python scripts/random_programs.py --count 500 --ops 'copy_,view,nn.functional.pad.*' --out /tmp/some.jsonl

Needs PyTorch. `tests/pytorch_programs` replays the file. A program depends on its seed (the given one plus its number)
and on the options only. With --ops two of three steps are of the operators named, and each program has one at least."""

import argparse
import base64
import fnmatch
import json
import math
import operator
import random
import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import torch

from random_steps import NAMES, STEPS, Draw, Ref, Skip

SHORT = {"float32": "f32", "float64": "f64", "int64": "i64", "int32": "i32", "uint8": "u8", "bool": "bool",
         "float16": "f16", "bfloat16": "bf16"}
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
VARIANTS = re.compile(r"^((max|min|norm|var|std|var_mean|std_mean|div|round|split|squeeze|nn\.functional\.interpolate"
                      r"|nn\.functional\.pad)\.(?!binary).*)$")
METHODS = {"view", "expand", "expand_as", "repeat", "unfold", "view_as", "reshape_as", "contiguous", "to", "index_put",
           "retain_grad", "unflatten", "clone", "detach", "as_strided"}
BLOCK = 500


def elements(t):
    """The bits of the elements in row-major order."""
    t = t.detach()
    if t.dtype == torch.bool:
        t = t.to(torch.uint8)
    t = t.contiguous().reshape(-1)
    raw = t.view(BITS[t.element_size()]).numpy().tobytes()
    return base64.b64encode(raw).decode()


def call(op, args, kwargs):
    """What the operator's name means, as a tensor, a sequence of tensors, or none."""
    special = SPECIAL.get(op)
    if special:
        return special(*args, **kwargs)
    if op.startswith("operator."):
        return getattr(operator, op[9:])(*args)
    if op in ("max.binary", "min.binary"):
        return getattr(torch, op[:3])(*args, **kwargs)
    base = op
    if VARIANTS.match(op):
        parts = op.split(".")
        base = ".".join(parts[:3]) if parts[0] == "nn" else parts[0]
    if base.startswith("nn.functional."):
        return getattr(torch.nn.functional, base[14:])(*args, **kwargs)
    if base == "linalg.vector_norm":
        return torch.linalg.vector_norm(*args, **kwargs)
    if base == "einsum":
        return torch.einsum(args[0], *args[1])
    if base in METHODS or base.endswith("_") or not hasattr(torch, base):
        return getattr(args[0], base)(*args[1:], **kwargs)
    return getattr(torch, base)(*args, **kwargs)


def setitem(x, value, *parts):
    x[tuple(parts)] = value


def diagonal(method):
    return lambda x, v: getattr(x.diagonal(), method)(v)


def channel_shuffle(x, groups):
    return torch.nn.functional.channel_shuffle(x, groups)


def drop_grad(x):
    x.grad = None


def backward(x, gradient, **kwargs):
    x.backward(gradient, **kwargs)


SPECIAL = {
    "getitem": lambda x, *parts: x[tuple(parts)],
    "setitem": setitem,
    "diagonal.fill_": diagonal("fill_"),
    "diagonal.mul_": diagonal("mul_"),
    "diagonal.copy_": diagonal("copy_"),
    "mT": lambda x: x.mT,
    "get_grad": lambda x: x.grad,
    "drop_grad": drop_grad,
    "backward": backward,
    "grad": lambda outputs, inputs, gradients, **kwargs: torch.autograd.grad(outputs, inputs, gradients, **kwargs),
    "nn.functional.channel_shuffle": channel_shuffle,
}
#: Steps that may change variables that exist.
CHANGING = {"setitem", "backward", "grad", "drop_grad", "retain_grad"}


def is_changing(op):
    return op in CHANGING or op.endswith("_") or op.startswith("diagonal.")


def is_open(op, args, kwargs):
    """Whether PyTorch leaves the result open: floats that the integers they become do not hold."""
    target = None
    if op == "to":
        target, source = args[1], args[0]
    elif op == "copy_" or op == "diagonal.copy_":
        target, source = args[0].dtype, args[1]
    elif op in ("setitem",) and isinstance(args[1], torch.Tensor):
        target, source = args[0].dtype, args[1]
    elif op in ("fill_", "masked_fill_", "masked_fill") and isinstance(args[-1], torch.Tensor):
        target, source = args[0].dtype, args[-1]
    elif op in ("prod", "cumsum", "cumprod") and "dtype" in kwargs:
        target, source = kwargs["dtype"], args[0]
    if target is None or target.is_floating_point or target == torch.bool or not source.is_floating_point():
        return False
    info = torch.iinfo(target)
    s = source.detach().double()
    return bool(s.numel()) and not bool((s.isfinite() & (s >= max(info.min, -2**53)) & (s <= min(info.max, 2**53))).all())


#: How far PyTorch's own result may be from that in double precision before both are recorded: its own default tolerances.
TOLERANCES = {torch.float32: (1.3e-6, 1e-5), torch.float16: (1e-3, 1e-5), torch.bfloat16: (1.6e-2, 1e-5)}


def reads_unwritten(op, args, kwargs):
    """Whether PyTorch's result has elements of memory that nobody has written: circular padding, of which each side takes
    what another has put, possibly before that has."""
    if op != "nn.functional.pad.circular":
        return False
    try:
        as_it_is = elements(call(op, args, kwargs))
    except RuntimeError:
        return False
    torch.use_deterministic_algorithms(True)  # New memory is filled, with NaN or the greatest integer.
    try:
        return elements(call(op, args, kwargs)) != as_it_is
    finally:
        torch.use_deterministic_algorithms(False)


def in_double(op, args, kwargs, results):
    """The results in double precision, rounded to PyTorch's dtypes, where PyTorch's own are not near them."""
    low = [t for t in results if isinstance(t, torch.Tensor) and t.dtype in TOLERANCES]
    if not low or is_changing(op) or "dtype" in kwargs or not any(isinstance(a, torch.Tensor) for a in args):
        return {}

    def double(v):
        if isinstance(v, torch.Tensor):
            return v.detach().double() if v.dtype in TOLERANCES else v.detach().clone()
        return type(v)(double(x) for x in v) if isinstance(v, (list, tuple)) else v

    state = torch.get_rng_state()
    try:
        with torch.no_grad():
            exact = call(op, [double(a) for a in args], {k: double(v) for k, v in kwargs.items()})
    except Exception:  # Not every operator takes doubles beside what it is given.
        return {}
    if not torch.equal(state, torch.get_rng_state()):
        torch.set_rng_state(state)
        return {}
    exact = (exact,) if isinstance(exact, torch.Tensor) else exact or ()
    found = {}
    for i, (own, exact) in enumerate(zip(results, exact)):
        if own is None or own.dtype not in TOLERANCES or exact.dtype != torch.float64 or exact.shape != own.shape:
            continue
        rounded = exact.to(own.dtype)
        rtol, atol = TOLERANCES[own.dtype]
        if not torch.allclose(own.detach().double(), rounded.double(), rtol, atol, equal_nan=True):
            found[i] = elements(rounded)
    return found


class Program:
    """One program as it grows."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.seed, self.steps = seed, []
        self.variables, self.roots, self.bits, self.versions, self.marks, self.grads = [], [], [], [], [], []
        self.draw = Draw(self.rng, self.variables, self.new_leaf)
        self.pending = []
        self.ended = False

    def new_leaf(self, t, requires_grad):
        """A leaf with this tensor's layout; its memory is all of what it lies in."""
        size = t.untyped_storage().nbytes() // t.element_size()
        base = torch.empty(0, dtype=t.dtype).set_(t.untyped_storage(), 0, [size], [1]).clone()
        leaf = base.as_strided(t.shape, t.stride(), t.storage_offset()).detach()
        if requires_grad:
            leaf.requires_grad_()
        record = {"op": "leaf", "t": SHORT[NAMES[t.dtype]], "s": list(t.shape), "st": list(t.stride()),
                  "o": t.storage_offset(), "m": elements(base)}
        if requires_grad:
            record["g"] = 1
        self.pending.append(record)
        self.add(leaf)
        return len(self.variables) - 1

    def add(self, t):
        """A variable; returns what is recorded of it."""
        index = len(self.variables)
        self.variables.append(t)
        if t is None:
            for known in (self.roots, self.bits, self.versions, self.marks, self.grads):
                known.append(None)
            return None
        same = next((i for i, o in enumerate(self.variables[:index]) if o is t), None)
        memory = t.untyped_storage()._cdata
        root = next((i for i, m in enumerate(self.roots) if m == memory), None) if t.numel() else None
        self.roots.append(memory if t.numel() else None)
        bits, mark = elements(t), self.mark(t)
        self.bits.append(bits)
        self.versions.append(t._version)
        self.marks.append(mark)
        self.grads.append(None)
        if same is not None:
            return {"is": same}
        record = {"t": SHORT[NAMES[t.dtype]], "s": list(t.shape), "st": list(t.stride()), "o": t.storage_offset(),
                  "v": bits, **dict(zip(("g", "l", "f"), mark))}
        if root is not None:
            record["m"] = root
        return record

    @staticmethod
    def mark(t):
        """Whether it requires a gradient, whether it is a leaf, the name of its node; "error" where PyTorch raises."""
        try:
            name = t.grad_fn.name().rsplit("::", 1)[-1] if t.grad_fn is not None else None
            return (int(t.requires_grad), int(t.is_leaf), name)
        except RuntimeError:
            return (1, 0, "error")

    def describe(self, v):
        if isinstance(v, Ref):
            return {"tensor": f"v{v.index}"}
        if v is None:
            return {"none": True}
        if isinstance(v, bool):
            return {"bool": v}
        if isinstance(v, int):
            return {"int": v}
        if isinstance(v, float):
            return {"float": v if math.isfinite(v) else str(v)}
        if isinstance(v, str):
            return {"str": v}
        if isinstance(v, torch.dtype):
            return {"dtype": NAMES[v]}
        if isinstance(v, dict):
            if "slice" in v:
                return {"str": ":".join("" if n is None else str(n) for n in v["slice"])}
            return v
        return {"list": [self.describe(x) for x in v]}

    def real(self, v):
        """The argument as Python has it."""
        if isinstance(v, Ref):
            return self.variables[v.index]
        if isinstance(v, dict):
            kind, x = next(iter(v.items()))
            return {"int": lambda: x, "none": lambda: None, "str": lambda: Ellipsis, "slice": lambda: slice(*x)}[kind]()
        if isinstance(v, (list, tuple)):
            return [self.real(x) for x in v]
        return v

    def step(self, op):
        """Adds one step, unless its arguments cannot be drawn."""
        count = len(self.variables)
        self.pending = []
        try:
            args, kwargs = STEPS[op][1](self.draw, op)
            reals = [self.real(a) for a in args], {k: self.real(v) for k, v in kwargs.items()}
            if op == "index_put_" or op == "index_put":
                reals[0][1] = tuple(reals[0][1])
            if is_open(op, *reals) or reads_unwritten(op, *reals):
                raise Skip
        except Skip:
            for known in (self.variables, self.roots, self.bits, self.versions, self.marks, self.grads):
                del known[count:]
            return False
        self.steps.extend(self.pending)
        self.pending = []
        record = {"op": op, "a": [self.describe(a) for a in args]}
        if kwargs:
            record["k"] = {k: self.describe(v) for k, v in kwargs.items()}
        no_grad = self.rng.random() < 0.07
        if no_grad:
            record["n"] = 1
        try:
            with torch.set_grad_enabled(not no_grad):
                result = call(op, *reals)
        except Exception as e:  # Whatever PyTorch raises is the answer.
            if self.has_written():
                # What it leaves half done is nobody's promise: the program ends before.
                self.ended = True
                return False
            record["e"] = f"{type(e).__name__}: {e}".split("\n")[0][:200]
            result = ()
        if isinstance(result, torch.Tensor):
            result = (result,)
        if not isinstance(result, (tuple, list)):
            result = ()
        self.steps.append(record)
        results = [self.add(t) for t in result]
        for i, bits in in_double(op, *reals, result).items():
            results[i]["x"] = bits
        if results:
            record["r"] = results
        if is_changing(op) or op in ("nn.functional.batch_norm", "nn.functional.instance_norm"):
            self.changes(record)
        return True

    def has_written(self):
        """Whether elements are others than those that were recorded last."""
        return any(t is not None and elements(t) != bits for t, bits in zip(self.variables, self.bits))

    def changes(self, record):
        """What the step changed of the variables that were there."""
        changed, grads = {}, {}
        # Running statistics change without a new version.
        unseen = record["op"] in ("nn.functional.batch_norm", "nn.functional.instance_norm")
        for i, t in enumerate(self.variables):
            if t is None or next(j for j, o in enumerate(self.variables) if o is t) != i:
                continue
            now = {}
            if unseen or t._version != self.versions[i]:
                self.versions[i] = t._version
                bits = elements(t)
                if bits != self.bits[i]:
                    self.bits[i] = now["v"] = bits
            mark = self.mark(t)
            if mark != self.marks[i]:
                self.marks[i] = mark
                now.update(zip(("g", "l", "f"), mark))
            if now:
                changed[i] = now
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                g = t.grad
            seen = None if g is None else (elements(g), list(g.shape), list(g.stride()), NAMES[g.dtype], g.requires_grad)
            if seen != self.grads[i]:
                self.grads[i] = seen
                grads[i] = None if g is None else {
                    "t": SHORT[seen[3]], "s": seen[1], "st": seen[2], "v": seen[0], "g": int(g.requires_grad)}
        if changed:
            record["c"] = changed
        if grads:
            record["d"] = grads


def program(seed, ops, longest):
    p = Program(seed)
    torch.manual_seed(seed)
    wanted = p.rng.randint(5, longest)
    names, weights = zip(*[(n, w) for n, (w, _) in STEPS.items()])
    done, tries, had_named = 0, 0, False
    while done < wanted and tries < 400 and not p.ended:
        tries += 1
        named = ops and (p.rng.random() < 0.66 or done == wanted - 1 and not had_named)
        op = p.rng.choice(ops) if named else p.rng.choices(names, weights)[0]
        if p.step(op):
            done += 1
            had_named = had_named or named
    return {"seed": seed, "steps": p.steps}


def block(first, count, ops, longest, largest, out):
    torch.set_num_threads(1)
    for seed in range(first, first + count):
        line = json.dumps(program(seed, ops, longest), separators=(",", ":"))
        # A line for each program, so that the number of lines says which one PyTorch dies of.
        out.write(("" if largest and len(line) > largest else line) + "\n")
        out.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first program; the next has the next number")
    parser.add_argument("--out", help="file to write; standard output otherwise")
    parser.add_argument("--ops", help="operators to have most of, by commas, with * for any letters")
    parser.add_argument("--longest", type=int, default=25, help="most steps of a program")
    parser.add_argument("--largest", type=int, default=0, help="leave out programs with more characters than this")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--block", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    ops = []
    if args.ops:
        ops = [n for n in STEPS if any(fnmatch.fnmatchcase(n, p) for p in args.ops.split(","))]
        if not ops:
            sys.exit(f"no operator is named {args.ops}")
    if args.block:
        block(args.seed, args.count, ops, args.longest, args.largest, sys.stdout)
        return

    def run(first, count):
        """A block in a process of its own: PyTorch may die of a program, which is left out then."""
        command = [sys.executable, __file__, "--block", "--seed", str(first), "--count", str(count),
                   "--longest", str(args.longest), "--largest", str(args.largest)]
        command += ["--ops", args.ops] if args.ops else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        if done.returncode:
            dead = first + len(lines)
            print(f"program {dead} left out: {done.stderr.strip()[-500:]}", file=sys.stderr)
            lines += run(dead + 1, first + count - dead - 1) if dead + 1 < first + count else []
        return lines

    starts = range(args.seed, args.seed + args.count, BLOCK)
    with ThreadPoolExecutor(args.jobs) as pool:
        blocks = pool.map(lambda s: run(s, min(BLOCK, args.seed + args.count - s)), starts)
        out = open(args.out, "w") if args.out else sys.stdout
        for lines in blocks:
            out.writelines(line + "\n" for line in lines if line)


if __name__ == "__main__":
    main()
