#!/usr/bin/env python3
"""The networks of examples/mnist_cnn.rs and examples/mnist_lstm.rs in PyTorch, eagerly: the seconds of each epoch and the test accuracy.

usage: peer_mnist.py cnn|lstm DIR [EPOCHS] [THREADS]

DIR has MNIST's test files (IDX, gzip); its first 8,000 images train, the last 2,000 test, as in the examples.
"""

import gzip
import os
import sys
import time

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        block = lambda a, b: nn.Sequential(nn.Conv2d(a, b, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(2))
        self.conv1, self.conv2, self.out = block(1, 16), block(16, 32), nn.Linear(32 * 7 * 7, 10)

    def forward(self, x):
        return self.out(self.conv2(self.conv1(x)).flatten(1))


class LSTMNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.out = nn.LSTM(28, 64, batch_first=True), nn.Linear(64, 10)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


def idx(folder, name, header):
    with gzip.open(os.path.join(folder, name)) as file:
        return torch.frombuffer(bytearray(file.read()[header:]), dtype=torch.uint8)


def main():
    which, folder, *rest = sys.argv[1:]
    epochs, threads = [int(n) for n in rest] + [3, 1][len(rest) :]
    torch.set_num_threads(threads)
    x = idx(folder, "t10k-images-idx3-ubyte.gz", 16).view(-1, 28, 28).float() / 255
    y = idx(folder, "t10k-labels-idx1-ubyte.gz", 8).long()
    torch.manual_seed(1)
    if which == "cnn":
        x, net, batch_size = x.unsqueeze(1), CNN(), 50
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.99))
    else:
        net, batch_size = LSTMNet(), 64
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    loader = DataLoader(TensorDataset(x[:8000], y[:8000]), batch_size=batch_size, shuffle=True)
    for epoch in range(1, epochs + 1):
        started = time.perf_counter()
        for bx, by in loader:
            loss = cross_entropy(net(bx), by)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - started
        with torch.no_grad():
            accuracy = (net(x[8000:]).argmax(1) == y[8000:]).float().mean()
        print(f"epoch {epoch}: {seconds:.3f} s, loss {loss:.3f}, test accuracy {100 * accuracy:.1f} %", flush=True)


if __name__ == "__main__":
    main()
