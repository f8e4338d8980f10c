"""Starts the hub's API on port 8081; the proxy is a program of its own."""

import asyncio
import os
import signal

import tornado.log
from kubernetes import client, config
from tornado.web import Application

from hubdouble.api import handlers
from hubdouble.hub import Hub
from hubdouble.routes import Routes
from hubdouble.spawner import Spawner
from hubdouble.store import Store
from hubdouble.values import Values


async def main() -> None:
    tornado.log.enable_pretty_logging()
    config.load_incluster_config()
    values = Values.load()
    proxy = Routes(os.environ["PROXY_API_URL"], os.environ["CONFIGPROXY_AUTH_TOKEN"])
    spawner = Spawner(
        client.CoreV1Api(), values, os.environ["POD_NAMESPACE"], os.environ["HELM_RELEASE_NAME"]
    )
    signal.signal(signal.SIGUSR1, lambda *_: spawner.stall())
    hub = Hub(
        values, Store(values.database(), upgrade=bool(values.get("hub.db.upgrade", False))), spawner, proxy
    )
    await hub.recover()
    Application(handlers(), hub=hub, token=os.environ["BINDER_API_TOKEN"]).listen(8081, xheaders=True)
    await asyncio.gather(spawner.watch(), proxy.watch(), hub.poll(), hub.cull())


# the first process of a container has no default for it
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
asyncio.run(main())
