"""Serves graphite-web: graphite_web.py WHISPER_FOLDER PRIVATE_FOLDER CARBON_QUERY_PORT.

Prints `port N`, the loopback port the kernel picked, when it can be asked.
"""
import importlib.util
import os
import sys
import types
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

import django.conf.urls
import django.urls
import django.utils.encoding

# graphite-web 1.1.10 and what it needs import names that Django 4 and Python 3.12 have dropped.
django.conf.urls.url = django.urls.re_path
django.utils.encoding.smart_text = django.utils.encoding.smart_str
if importlib.util.find_spec("imp") is None:
    sys.modules["imp"] = types.ModuleType("imp")

whisper_folder, private_folder, query_port = sys.argv[1:]
settings = types.ModuleType("graphite_settings")
vars(settings).update(
    WHISPER_DIR=whisper_folder,
    STORAGE_DIR=private_folder,
    CONF_DIR=private_folder,
    LOG_DIR=private_folder,
    LOG_FILE_INFO="-",
    LOG_FILE_EXCEPTION="-",
    LOG_ROTATION=False,
    SECRET_KEY="of a test",
    # What carbon has not written yet is asked of carbon.
    CARBONLINK_HOSTS=[f"127.0.0.1:{query_port}"],
    TAGDB=None,
    # The next question may be about what came a moment ago.
    FIND_CACHE_DURATION=0,
    DEFAULT_CACHE_DURATION=0,
)
sys.modules["graphite_settings"] = settings
os.environ["GRAPHITE_SETTINGS_MODULE"] = "graphite_settings"
os.environ["DJANGO_SETTINGS_MODULE"] = "graphite.settings"

from graphite.wsgi import application  # noqa: E402


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


server = make_server("127.0.0.1", 0, application, Server)
print("port", server.server_port, flush=True)
server.serve_forever()
