"""Starts the hub's API on port 8081 and the proxy on port 8000."""

import asyncio
import os
import signal

import tornado.log
from kubernetes import client, config
from tornado.web import Application

from hubdouble.api import handlers
from hubdouble.hub import Hub
from hubdouble.proxy import HEAD_LIMIT, Proxy
from hubdouble.spawner import Spawner
from hubdouble.store import Store
from hubdouble.values import Values


async def main() -> None:
    tornado.log.enable_pretty_logging()
    config.load_incluster_config()
    values = Values.load()
    proxy = Proxy(
        hub="http://127.0.0.1:8081",
        hub_prefix=values.trait("JupyterHub", "hub_routespec", "/"),
        default=values.trait("Proxy", "extra_routes", {}).get("/"),
    )
    spawner = Spawner(
        client.CoreV1Api(), values, os.environ["POD_NAMESPACE"], os.environ["HELM_RELEASE_NAME"]
    )
    signal.signal(signal.SIGUSR1, lambda *_: spawner.stall())
    hub = Hub(values, Store(values.database()), spawner, proxy)
    await hub.recover()
    Application(handlers(), hub=hub, token=os.environ["BINDER_API_TOKEN"]).listen(8081, xheaders=True)
    server = await asyncio.start_server(proxy.handle, "0.0.0.0", 8000, limit=HEAD_LIMIT)
    async with server:
        await asyncio.gather(server.serve_forever(), hub.poll(), hub.cull())


# the first process of a container has no default for it
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
asyncio.run(main())
