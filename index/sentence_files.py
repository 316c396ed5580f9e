"""The files of sentence vectors in a segment."""

SENTENCES = "sentences.npy"
SPANS = "sentence-spans.npy"
STARTS = "sentence-starts.npy"
SENTENCE_FILES = (SENTENCES, SPANS, STARTS)
