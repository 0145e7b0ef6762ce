"""The recurrent workloads in JAX on the processor: the whole training step under jit, its state donated. One JSON line each.

Usage: jax_peer.py [WORKLOAD...]; PEER_THREADS=1 asks for one thread. What the fields mean is in docs/measuring.md.
"""

import functools
import json
import os
import random
import sys
import time

os.environ.setdefault("JAX_PLATFORMS", "cpu")
if os.environ.get("PEER_THREADS") == "1":
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
import jax  # noqa: E402  (after the variables that it reads)
import jax.numpy as jnp  # noqa: E402

WANTED = sys.argv[1:]
keys = iter(jax.random.split(jax.random.PRNGKey(0), 10_000))


def normal(*shape):
    return jax.random.normal(next(keys), shape, jnp.float32) * 0.1


def report(workload, us, first_s, **more):
    threads = os.environ.get("PEER_THREADS", "all")
    line = dict(peer="jax-jit", threads=threads, workload=workload, us=round(us, 4), first_s=round(first_s, 4))
    print(json.dumps(line | more), flush=True)


def upper_median(seconds):
    return sorted(seconds)[len(seconds) // 2]


def parameters():
    return dict(wih=normal(32, 1), whh=normal(32, 32), bih=normal(32), bhh=normal(32), wo=normal(1, 32), bo=normal(1))


def moments(p):
    return jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), jnp.zeros((), jnp.int32)


def loss(p, x, y, h):
    projected = x @ p["wih"].T + p["bih"] + p["bhh"]

    def cell(h, point):
        h = jnp.tanh(point + h @ p["whh"].T)
        return h, h

    h, states = jax.lax.scan(cell, h, jnp.swapaxes(projected, 0, 1))
    prediction = jnp.swapaxes(states, 0, 1) @ p["wo"].T + p["bo"]
    return jnp.mean((prediction - y) ** 2), h


def adam(p, g, state, lr=0.02, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, m, g)
    v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, g)
    c1 = 1 - beta1 ** t.astype(jnp.float32)
    c2 = 1 - beta2 ** t.astype(jnp.float32)
    p = jax.tree.map(lambda p, m, v: p - lr * (m / c1) / (jnp.sqrt(v / c2) + eps), p, m, v)
    return p, (m, v, t)


@functools.partial(jax.jit, donate_argnums=(0, 1))
def train(p, state, x, y, h):
    (value, h), g = jax.value_and_grad(loss, has_aux=True)(p, x, y, h)
    p, state = adam(p, g, state)
    return p, state, h, value


class Training:
    def __init__(self):
        self.p = parameters()
        self.state = moments(self.p)
        self.h = jnp.zeros((1, 32))

    def step(self, x, y):
        self.p, self.state, self.h, value = train(self.p, self.state, x, y, self.h)
        value.block_until_ready()


def sequence(points):
    return normal(1, points, 1), normal(1, points, 1)


def seconds_of(training, data):
    start = time.perf_counter()
    training.step(*data)
    return time.perf_counter() - start


def fixed(workload, points, calls):
    training, data = Training(), sequence(points)
    first = seconds_of(training, data)
    for _ in range(3):
        training.step(*data)
    seconds = [seconds_of(training, data) for _ in range(calls)]
    report(workload, upper_median(seconds) * 1e6, first)


def variable(workload, lengths):
    training, data = Training(), {points: sequence(points) for points in set(lengths)}
    seconds, start = [], time.perf_counter()
    for points in lengths:
        seconds.append(seconds_of(training, data[points]))
        if time.perf_counter() - start > 150:
            break
    whole = time.perf_counter() - start
    note = "first_s = whole run with compiles"
    report(workload, upper_median(seconds) * 1e6, whole, steps=len(seconds), note=note)


def rnn_fixed_10():
    fixed("rnn_fixed_10", 10, 300)


def rnn_fixed_200():
    fixed("rnn_fixed_200", 200, 60)


def rnn_var_30():
    draw = random.Random(0)
    variable("rnn_var_30", [draw.randint(1, 3) * 10 for _ in range(600)])


def rnn_var_200():
    draw = random.Random(0)
    variable("rnn_var_200", [draw.randint(1, 200) for _ in range(600)])


for workload in [rnn_fixed_10, rnn_fixed_200, rnn_var_30, rnn_var_200]:
    if not WANTED or workload.__name__ in WANTED:
        workload()
