#!/usr/bin/env python3
# ruff: noqa: E501  the words of servers are long
"""Which words for "the prompt does not fit" are read as `context`, and which other 400s are wrongly so. Run with the product's Python:
cd CLONE && .venv/bin/python context_words.py"""

import json

from sessions.events import ModelSpec
from sessions.providers.failures import from_status

S = ModelSpec("openai", "m")
YES = {  # (status, message as servers word it, paraphrased where long)
    "Poolside/OpenRouter (pi#4943)": (
        400,
        "Input length 131393 exceeds the maximum allowed input length of 131040 tokens.",
    ),
    "vLLM 0.1x": (
        400,
        "This model's maximum context length is 262144 tokens. However, you requested 0 output tokens and your prompt contains at least 262145 input tokens.",
    ),
    "vLLM input tokens": (
        400,
        "You passed 40961 input tokens and requested 0 output tokens. However, the model's context length is only 40960 tokens, resulting in a maximum input length of 40960 tokens.",
    ),
    "vLLM decoder": (
        400,
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that max_model_len is no smaller.",
    ),
    "vLLM max_tokens": (
        400,
        "'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum context length is 32768 tokens and your request has 30000 input tokens (8192 > 32768 - 30000).",
    ),
    "OpenRouter (OpenHands#8149)": (
        400,
        "This endpoint's maximum context length is 40960 tokens. However, you requested about 42988 tokens (38892 of text input, 4096 in the output). Please reduce the length of either one.",
    ),
    "Anthropic": (400, "prompt is too long: 214676 tokens > 200000 maximum"),
    "Anthropic in+out": (
        400,
        "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length or `max_tokens` and try again",
    ),
    "OpenAI responses": (
        400,
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
    ),
    "Bedrock": (400, "Input is too long for requested model."),
    "Bedrock 2": (400, "The model returned the following errors: Input is too long for requested model."),
    "Vertex/Gemini": (400, "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576)."),
    "Gemini compat": (
        400,
        "Unable to submit request because the input token count is 1100000 but model only supports up to 1048576.",
    ),
    "xAI": (400, "This model's maximum prompt length is 131072 but the request contains 140000 tokens."),
    "Cohere": (400, "too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 140000."),
    "Together": (
        422,
        "`inputs` tokens + `max_new_tokens` must be <= 32769. Given: 33000 `inputs` tokens and 512 `max_new_tokens`",
    ),
    "Fireworks": (400, "The prompt is too long: 131073, model maximum context length: 131072"),
    "MiniMax": (400, "invalid params, context window exceeds limit (2013)"),
    "Kimi": (400, "Invalid request: Your request exceeded model token limit: 262144"),
    "DeepSeek": (
        400,
        "This model's maximum context length is 131072 tokens. However, you requested 140000 tokens (131808 in the messages, 8192 in the completion). Please reduce the length of the messages or completion.",
    ),
    "Groq": (
        413,
        "Request too large for model `llama` in organization: tokens per minute (TPM): Limit 6000, Requested 9000",
    ),
    "Groq 400": (400, "Please reduce the length of the messages or completion."),
    "Cerebras": (
        400,
        "Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192",
    ),
    "LM Studio": (
        400,
        "The number of tokens to keep from the initial prompt is greater than the context length. Try to load the model with a larger context length, or provide a shorter input",
    ),
    "LM Studio 2": (
        400,
        "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.",
    ),
    "llama.cpp": (400, "the request exceeds the available context size (4096 tokens), try increasing it"),
    "llama.cpp old": (
        400,
        "the request exceeds the available context size. try increasing the context size or enable context shift",
    ),
    "llama.cpp too large": (500, "input is too large to process. increase the physical batch size"),
    "llama-cpp-python": (400, "Requested tokens (9000) exceed context window of 4096"),
    "Ollama": (400, "input length exceeds the context length"),
    "Ollama cloud": (400, "prompt too long; exceeded max context length by 1234 tokens"),
    "TGI": (422, "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000"),
    "Mistral": (
        400,
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    ),
    "Copilot": (400, "prompt token count of 129000 exceeds the limit of 128000"),
    "SGLang": (400, "The input (33000 tokens) is longer than the model's context length (32768 tokens)."),
    "SGLang total": (
        400,
        "Requested token count exceeds the model's maximum context length of 32768 tokens. You requested a total of 40000 tokens: 32000 tokens from the input messages and 8000 tokens for the completion.",
    ),
    "GLM": (400, "Prompt exceeds max length"),
    "Qwen/DashScope": (400, "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]"),
    "Hunyuan": (400, "input token length over limit, max 28000"),
    "StepFun": (400, "the input is too long, the maximum length of the model is 32k"),
    "Baichuan/Qianfan": (400, "the max input characters is 11200"),
    "Qianfan 2": (400, "prompt tokens too long"),
    "NVIDIA NIM/TensorRT": (
        400,
        "Prompt length (9000) exceeds maximum input length (8192). Set log level to info and check TRTGptModel logs for how maximum input length is set",
    ),
    "TRT-LLM serve": (
        400,
        "default_max_tokens (-128) must be greater than 0, default_max_tokens = max_seq_len (8192) - splited_prompt_len (8320)",
    ),
    "Databricks": (400, "Input tokens (9000) exceed the maximum input tokens for this model (8192)"),
    "SambaNova": (400, "input_tokens + max_tokens exceeds max_seq_len 8192"),
    "mlx-lm / exo": (400, "Prompt length 9000 exceeds max_kv_size 8192"),
    "Azure": (
        400,
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens (129000 in the messages, 1000 in the functions).",
    ),
    "Lambda/AI21": (422, "Prompt has too many tokens. Max allowed is 8192"),
    "Perplexity": (400, "Prompt is too long: requested model supports 127072 tokens"),
    "LiteLLM": (400, "litellm.ContextWindowExceededError: litellm.BadRequestError: Context size has been exceeded."),
    "LM Studio 3": (400, "Context size has been exceeded."),
    "Sglang embed": (
        400,
        "Input length (9000 tokens) exceeds the maximum allowed length (8187 tokens). Use a shorter input or enable --allow-auto-truncate.",
    ),
    "Cloudflare": (
        400,
        "AiError: The estimated number of input and maximum output tokens (9000) exceeded this model context window limit (8192).",
    ),
    "nginx body": (413, "<html><head><title>413 Request Entity Too Large</title></head></html>"),
}
NO = {
    "max_tokens too big": (
        400,
        "max_tokens is too large: 200000. This model supports at most 16384 completion tokens, whereas you provided 200000.",
    ),
    "TPM rate limit": (429, "Rate limit reached: too many tokens per minute, limit 30000"),
    "too many tools": (
        400,
        "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 140 instead.",
    ),
    "name too long": (
        400,
        "Invalid 'messages[2].tool_calls[0].id': string too long. Expected a string with maximum length 40, but got a string with length 43 instead.",
    ),
    "image too large": (
        400,
        "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 6291456 bytes > 5242880 bytes",
    ),
    "budget": (400, "max_tokens must be greater than thinking.budget_tokens"),
    "role": (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
    "stop too long": (400, "stop sequence is too long"),
    "quota": (400, "Token limit exceeded for your plan: 1,000,000 tokens per month"),
    "request rate": (400, "Request is too large for the free tier, upgrade your account"),
}


def read_wrongly():
    """Those that are taken for something else, a line each."""
    for want, table in (("context", YES), ("other", NO)):
        for who, (status, text) in table.items():
            got = from_status(S, status, {}, json.dumps({"error": {"message": text}}).encode()).reason
            if (got == "context") != (want == "context"):
                yield f"{'MISSED' if want == 'context' else 'WRONGLY context'}  {who:32} {status} -> {got}: {text[:110]}"


if __name__ == "__main__":
    bad = list(read_wrongly())
    print("\n".join(bad))
    print(f"{len(YES)} wordings of 'does not fit', {len(NO)} of other things; {len(bad)} read wrongly")
