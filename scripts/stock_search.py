"""What one writes today with sentence-transformers and FAISS: the benchmarks' point of comparison.

python scripts/stock_search.py build MODEL TEXTS.json INDEX
python scripts/stock_search.py search MODEL TEXTS.json INDEX QUERY
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import faiss
from sentence_transformers import SentenceTransformer


def main() -> None:
    """Embed texts into a flat index, or show the ten nearest to a query."""
    action, folder, texts_file, index_file, *query = sys.argv[1:]
    model = SentenceTransformer(folder, device="cpu")
    texts = json.loads(Path(texts_file).read_text("utf-8"))
    if action == "build":
        vectors = model.encode(["passage: " + text for text in texts], normalize_embeddings=True)
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        faiss.write_index(index, index_file)
        return
    index = faiss.read_index(index_file)
    vector = model.encode(["query: " + query[0]], normalize_embeddings=True)
    scores, rows = index.search(vector, 10)
    for score, row in zip(scores[0], rows[0], strict=True):
        print(f"{score:.3f}  {texts[row][:200]}")


if __name__ == "__main__":
    main()
