"""The layers that the original LeNet-5 has beside the usual ones.

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of the
IEEE, 1998, section II-B.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.models.bitmaps import digit_bitmaps
from neocog.notation import Table

Pair = tuple[int, int]


class TableConv2d(nn.Module):
    """A convolution whose output maps see only the input maps that a table names.

    Maps (N, in_channels, H, W) to (N, len(table), H', W'). `weight` (connections, kh, kw) holds one kernel for each
    connection, in the order of the table; `bias` (len(table),) or None. `margins` is the zero padding (left, right,
    top, bottom).
    """

    def __init__(
        self,
        in_channels: int,
        table: Table,
        kernel: Pair,
        *,
        stride: Pair = (1, 1),
        margins: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilation: Pair = (1, 1),
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.table, self.kernel = in_channels, table, kernel
        self.stride, self.margins, self.dilation = stride, margins, dilation
        connections = [(output, seen) for output, entry in enumerate(table) for seen in entry]
        # On the CPU whatever the default device, and no buffer: it follows from the table, which to_empty() on a
        # network without memory would not fill in again.
        self._places = torch.tensor([output * in_channels + seen for output, seen in connections], device="cpu")
        self.weight = nn.Parameter(torch.empty(len(connections), *kernel))
        self.bias = nn.Parameter(torch.empty(len(table))) if bias else None
        # What PyTorch draws for a convolution of that fan-in.
        self.uniform_(lambda fan_in: fan_in**-0.5)

    def uniform_(self, bound: Callable[[int], float]) -> None:
        """Draw the weights and the bias of each output map uniformly within plus and minus `bound(fan_in)`."""
        first = 0
        with torch.no_grad():
            for output, entry in enumerate(self.table):
                limit = bound(len(entry) * self.kernel[0] * self.kernel[1])
                self.weight[first : first + len(entry)].uniform_(-limit, limit)
                if self.bias is not None:
                    self.bias[output].uniform_(-limit, limit)
                first += len(entry)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, as with a full kernel that is zero where the table connects nothing."""
        outputs = len(self.table)
        full = self.weight.new_zeros(outputs * self.in_channels, *self.kernel)
        full = full.index_copy(0, self._places.to(self.weight.device), self.weight)
        weight = full.view(outputs, self.in_channels, *self.kernel)
        if any(self.margins):
            x = F.pad(x, self.margins)
        return F.conv2d(x, weight, self.bias, self.stride, 0, self.dilation)

    def extra_repr(self) -> str:
        """The sizes, for printing."""
        return f"{self.in_channels}, {len(self.table)}, kernel_size={self.kernel}, connections={len(self.weight)}"


class Subsample(nn.Module):
    """The mean of each window of `kernel` (height, width), times a coefficient, plus a bias; windows do not overlap.

    Maps (N, channels, H, W) to (N, channels, H // kh, W // kw). `weight` and `bias` are (channels,); 1 and 0 to begin
    with. The paper adds the values of a window: its coefficient is `weight` divided by their number.
    """

    def __init__(self, channels: int, kernel: Pair) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Average, scale and shift each map."""
        return F.avg_pool2d(x, self.kernel) * self.weight[:, None, None] + self.bias[:, None, None]

    def extra_repr(self) -> str:
        """The sizes, for printing."""
        return f"{len(self.weight)}, kernel_size={self.kernel}"


class EuclideanRBF(nn.Module):
    """Minus the squared Euclidean distance of the input from the target of each unit: (N, features) to (N, units).

    `targets` (units, features) are +1 and -1 to begin with: drawn at random and trained, or, with `digits`, the
    bitmaps of the ten digits, a buffer that is not trained.
    """

    targets: Tensor

    def __init__(self, features: int, units: int, *, digits: bool = False) -> None:
        super().__init__()
        if digits:
            self.register_buffer("targets", torch.tensor(digit_bitmaps(), dtype=torch.get_default_dtype()))
        else:
            self.targets = nn.Parameter(torch.randint(0, 2, (units, features)) * 2.0 - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compare with each target. Differences are taken before they are squared, which loses nothing to rounding."""
        return -(x[:, None] - self.targets).square().sum(2)

    def extra_repr(self) -> str:
        """The sizes, for printing."""
        units, features = self.targets.shape
        return f"{features}, {units}, trained={isinstance(self.targets, nn.Parameter)}"
