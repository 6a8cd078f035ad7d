"""A stateless Responses service whose model is a script: what tests, examples and other clients talk to.

    body ─> validation ─> requests ─> script ─> replies ─> responses ─> events ─> sse ─> bytes

Everything but `app`, which walks this way, is pure or nearly so. `app.Service` takes method, path, headers and
body, so that the same service runs in process (`agentkit.testing.ScriptedModel`) and behind an HTTP server.
`faults` bend the replies on that way, as `misbehaviour` draws them.

    file ─> loading (Python) | yaml_script (spots, script_form, templates) ─> script
    connection ─> http (uvicorn) ─> asgi (Starlette) ─> app, with exchanges as the record of it

Only `asgi` and `http` need Starlette and uvicorn, only `spots` and `yaml_script` pyyaml: the extra `server`.
"""
