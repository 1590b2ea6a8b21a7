# ruff: noqa: E501  one line for each event
import json
import sqlite3
import sys

db = sys.argv[1]
c = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
for number, session, summary in c.execute("select number,session,summary from sessions order by number"):
    s = json.loads(summary)
    rows = c.execute("select kind,step,call,body from events where session=? order by seq", (session,)).fetchall()
    out = []
    title = None
    for k, st, _cl, b in rows:
        b = json.loads(b)
        if k == "session.created":
            title = b["title"]
        if k == "model.reply":
            p = []
            for x in b["parts"]:
                if x["part"] == "call":
                    p.append(f"call(id={x['id'][:30]!r} name={x['name'][:40]!r} args={x['arguments'][:60]!r})")
                else:
                    p.append(f"{x['part']}({x['text'][:50]!r}{' raw' if x.get('raw') else ''})")
            u = b.get("usage")
            out.append(
                f"   reply[{st}] {b['finish']}/{b.get('finish_raw')}: {'; '.join(p[:4])}{f' …{len(p)} parts' if len(p) > 4 else ''} usage={u.get('input_tokens') if u else None}/{u.get('output_tokens') if u else None} est={b.get('estimate')}"
            )
        if k == "model.attempt_failed":
            out.append(
                f"   FAILED[{st}] #{b['attempt']} {b['reason']} {b.get('status')} {b.get('message')[:150]!r} retry={b.get('retry_ms')}"
            )
        if k == "action.refused":
            out.append(f"   refused {b['name'][:30]!r} {b['why']}: {b.get('problem', '')[:120]!r}")
        if k == "action.result":
            out.append(f"   result {b['outcome']}: {b['output']['text'][:70]!r}")
        if k == "session.state" and b["state"] not in ("running",):
            out.append(f"   STATE {b['state']} {b.get('need', '')} {b.get('reason', '')[:220]}")
    print(f"{number} {title}: {s['state']}")
    print("\n".join(out[:14]))
