"""Chat templates: from a step sample to the token ids of its prompt and of the reply as the model would sample it.

``engine`` is the one door to tokenizers; ``stop_tokens`` knows on which token a server stops; ``template_probe`` finds
out by small renders what a template leaves out; ``renderer`` makes the tokens of one reply; ``packing`` joins replies
where that is safe; ``message_form`` says messages as a template, or the trainer that applies it, needs them.
"""
