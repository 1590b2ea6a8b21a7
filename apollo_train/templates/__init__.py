"""Chat templates: from a step sample to the token ids of its prompt and of the reply as the model would sample it.

``engine`` is the one door to tokenizers; ``families`` knows on which token a server stops; ``traits`` finds out by
small renders what a template leaves out; ``target`` renders one reply; ``packing`` joins replies where that is safe.
"""
