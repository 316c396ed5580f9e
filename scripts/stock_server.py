"""What one writes today with sentence-transformers, FAISS and FastAPI: the server that ours is compared with.

python scripts/stock_server.py MODEL TEXTS.json INDEX PORT
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import faiss
import uvicorn
from fastapi import FastAPI
from sentence_transformers import SentenceTransformer


def make_app(model: SentenceTransformer, index: faiss.Index, texts: list[str]) -> FastAPI:
    """Return an application that answers one query after the other."""
    app = FastAPI()
    one_at_a_time = threading.Lock()

    @app.get("/search")
    def search(q: str, k: int = 10) -> list[dict[str, float | str]]:
        with one_at_a_time:
            vector = model.encode(["query: " + q], normalize_embeddings=True)
            scores, rows = index.search(vector, k)
        return [
            {"score": float(score), "text": texts[row]}
            for score, row in zip(scores[0], rows[0], strict=True)
            if row >= 0
        ]

    return app


def main() -> None:
    """Serve."""
    folder, texts_file, index_file, port = sys.argv[1:]
    model = SentenceTransformer(folder, device="cpu")
    texts = json.loads(Path(texts_file).read_text("utf-8"))
    index = faiss.read_index(index_file)
    model.encode(["query: warm"], normalize_embeddings=True)
    uvicorn.run(make_app(model, index, texts), host="127.0.0.1", port=int(port), log_level="error", access_log=False)


if __name__ == "__main__":
    main()
