"""The orders of PyTorch's samplers, loaders and splits, for tests/data_loading: loading.py > loading.json. Written by PyTorch 2.15."""

import json

import torch
from torch.utils.data import (
    BatchSampler, DataLoader, RandomSampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler, random_split,
)


def generator(seed):
    return None if seed is None else torch.Generator().manual_seed(seed)


def after():
    """Where the default generator's streams are afterwards."""
    return torch.randint(0, 1 << 30, (3,)).tolist()


out = {"samplers": [], "loaders": [], "splits": [], "weighted": []}

for seed in (1, 7, 2**40 + 3):
    for own in (None, 5):
        for n, replacement, count in [(1, False, None), (10, False, None), (10, False, 4), (10, False, 25), (10, False, 20),
                                      (10, True, None), (10, True, 32), (10, True, 70), (100, False, None)]:
            torch.manual_seed(seed)
            g = generator(own)
            s = RandomSampler(range(n), replacement=replacement, num_samples=count, generator=g)
            passes = [list(s), list(s)]
            out["samplers"].append(dict(kind="random", seed=seed, own=own, n=n, replacement=replacement, count=count,
                                        passes=passes, after=after()))
        torch.manual_seed(seed)
        s = SubsetRandomSampler([3, 1, 4, 15, 9], generator=generator(own))
        out["samplers"].append(dict(kind="subset", seed=seed, own=own, indices=[3, 1, 4, 15, 9], passes=[list(s), list(s)],
                                    after=after()))
        for weights, count, replacement in [([0.1, 0.9, 0.4, 0.7, 3.0, 0.6], 5, True), ([0.9, 0.4, 0.05, 0.2, 0.3, 0.1], 6, False),
                                            ([0.0, 1.0, 2.0], 2, False), ([1, 2, 3], 40, True)]:
            torch.manual_seed(seed)
            s = WeightedRandomSampler(weights, count, replacement, generator=generator(own))
            out["weighted"].append(dict(seed=seed, own=own, weights=[float(w) for w in weights], count=count,
                                        replacement=replacement, passes=[list(s), list(s)], after=after()))
        for n, lengths in [(10, [3, 7]), (10, [0, 10]), (30, [0.3, 0.3, 0.4]), (7, [0.5, 0.5]), (11, [0.25, 0.25, 0.5]), (5, [1.0])]:
            torch.manual_seed(seed)
            g = {} if own is None else dict(generator=generator(own))
            parts = random_split(range(n), lengths, **g)
            out["splits"].append(dict(seed=seed, own=own, n=n, lengths=lengths, parts=[p.indices for p in parts], after=after()))

for seed in (1, 42):
    for own in (None, 5):
        for workers in (0, 2):
            for n, batch, shuffle, drop in [(10, 4, True, False), (10, 4, True, True), (10, 4, False, False), (64, 5, True, False), (3, 8, True, True)]:
                torch.manual_seed(seed)
                loader = DataLoader(range(n), batch_size=batch, shuffle=shuffle, drop_last=drop, num_workers=workers, generator=generator(own))
                passes = []
                between = []
                for _ in range(2):
                    it = iter(loader)
                    # What is drawn when the pass begins, and what with its first batch.
                    between.append(after())
                    passes.append([b.tolist() for b in it])
                out["loaders"].append(dict(seed=seed, own=own, workers=workers, n=n, batch=batch, shuffle=shuffle, drop=drop,
                                           passes=passes, between=between, after=after()))

print(json.dumps(out))
