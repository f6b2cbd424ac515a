"""Keep what people said out of the log when a model server repeats it in its errors."""

import json

#: So many characters in a row that were said before are no coincidence.
QUOTE = 16


def without_quotes(text: str, said: str) -> str:
    """Return `text` with every quotation from `said` replaced by an ellipsis."""
    # As servers write it, and as they write it inside of JSON.
    known = f"{said}\n{json.dumps(said)}\n{json.dumps(said, ensure_ascii=False)}"
    kept, at = [], 0
    while at < len(text):
        end = at + QUOTE
        if end > len(text) or text[at:end] not in known:
            kept.append(text[at])
            at += 1
            continue
        while end < len(text) and text[at : end + 1] in known:
            end += 1
        kept.append("[…]")
        at = end
    return "".join(kept)
