"""``apollo-train`` as a launched script, with accelerate told that this CPU is a device which it can shard on.

accelerate shards on accelerators only, while FSDP2 and DeepSpeed themselves run on the CPU, over gloo. So with this one
word of accelerate changed, the real engines run on a machine without any GPU.
"""

import os

os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"

from accelerate.state import PartialState
from accelerate.utils import DistributedType

from apollo_train.cli.main import main
from apollo_train.trainers import run

PartialState._prepare_backend = lambda self, *_: ("gloo", DistributedType.MULTI_GPU)
run.on_cpu = lambda: False

if __name__ == "__main__":
    main()
