"""Runs the lines of a benchmark in another process: a kernel that fails, crashes or never ends costs its own line, and a fresh process goes
on behind it. A worker tells what it does as JSON, a line a message, through a pipe."""

import json
import os
import select
import subprocess
import sys
import time

# Libraries that are loaded, ceilings; one line with its peer, compiled at run time.
START_SECONDS, LINE_SECONDS = 150, 60
MOST_WORKERS = 8
NO_TIME = "no time left"


def show(value, form):
    return "-" if value is None else form % value


class Supervisor:
    def __init__(self, command, deadline):
        """`command`: the worker's; it gets --worker FD, --skip N and --ceilings JSON. `deadline`: seconds for all."""
        self.command, self.end = command, time.monotonic() + deadline
        self.device, self.ceilings, self.lines, self.begun = {}, None, [], 0
        self.current = self.problem = None

    def run(self):
        for _ in range(MOST_WORKERS):
            if self._worker():
                break
        else:
            self.problem = f"{MOST_WORKERS} processes failed: the rest was not tried"
        return self

    def _worker(self):
        """One process; whether that was the last."""
        reading, writing = os.pipe()
        worker = subprocess.Popen([*self.command, "--worker", str(writing), "--skip", str(self.begun), "--ceilings", json.dumps(self.ceilings)],
                                  pass_fds=[writing])
        os.close(writing)
        done, said, limit = False, b"", START_SECONDS
        silent = None
        while True:
            ready, _, _ = select.select([reading], [], [], max(0.0, min(limit, self.end - time.monotonic())))
            if not ready:
                silent = f"no end within {limit} s" if time.monotonic() < self.end else NO_TIME
                worker.kill()
                break
            chunk = os.read(reading, 1 << 16)
            if not chunk:
                break
            *messages, said = (said + chunk).split(b"\n")
            for message in map(json.loads, messages):
                done = done or "done" in message
                self._hear(message)
                limit = LINE_SECONDS
        os.close(reading)
        status = worker.wait()
        if silent is NO_TIME:
            self.problem = f"{NO_TIME} from {self.current or 'the beginning'} on"
        elif self.current is not None:
            self._add(dict(name=self.current, error=silent or f"the process ended with {status}"))
        elif not done and self.begun == 0:
            self.problem = silent or f"it does not start: exit {status}"
        return done or self.problem is not None

    def _hear(self, message):
        if "device" in message:
            if not self.device:
                print("%(device)s, kernels %(kernels)s, seed %(seed)d" % message, flush=True)
            self.device = message
        if "ceilings" in message and self.ceilings is None:
            self.ceilings = message["ceilings"]
            print("ceilings: copy %.2f TB/s, bf16 %.0f TFLOP/s, int8 %.0f TOP/s" % tuple(self.ceilings[c] for c in ("bytes", "bf16", "int8"))
                  if self.ceilings else "no CUDA device for PyTorch: no peers and no ceilings", flush=True)
        if "begin" in message:
            self.current = message["begin"]
            self.begun += 1
        if "line" in message:
            self._add(message["line"])

    def _add(self, line):
        self.current = None
        self.lines.append(line)
        if "error" in line:
            print("%-52s FAILED: %s" % (line["name"], line["error"]), flush=True)
            return
        print(f"{line['name']:<52} {line['ours']:9.3f} {line['unit']:<8} ({line['min']:.3f} .. {line['max']:.3f})  "
              f"peer {show(line['peer'], '%.3f'):>8}  ratio {show(line['ratio'], '%.2f'):>5}  {show(line['percent'], '%.0f%%'):>5} of ceiling  "
              f"bar {show(line['bar'], '%g')}", flush=True)
        if line["peer_error"]:
            print(f"{'':<52} no peer: {line['peer_error']}", flush=True)

    def finish(self, path):
        """Writes all as JSON, says in a last line what went wrong; whether nothing did."""
        if path:
            with open(path, "w", encoding="utf-8") as out:
                json.dump(dict(**self.device, ceilings=self.ceilings, lines=self.lines, problem=self.problem), out, indent=1)
        failed = [line["name"] for line in self.lines if "error" in line]
        peerless = sum(1 for line in self.lines if line.get("peer_error"))
        print(f"{len(self.lines)} lines, {len(failed)} failed{': ' * bool(failed)}{', '.join(failed)}"
              f"{f'; {peerless} peers failed' * bool(peerless)}{f'; {self.problem}' * bool(self.problem)}", flush=True)
        return not failed and not self.problem and bool(self.lines)


class Teller:
    """The worker's end."""

    def __init__(self, descriptor):
        self.out = os.fdopen(descriptor, "w", buffering=1, encoding="utf-8")

    def __call__(self, **message):
        self.out.write(json.dumps(message) + "\n")


def worker_command():
    return [sys.executable, *sys.argv]
