"""The page `/docs`: Swagger UI on our document, without anything from the internet."""

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles


def install_docs(app: FastAPI) -> None:
    """Serve the page, and the files that it loads; its links hold under any prefix of a proxy."""
    assets = StaticFiles(packages=[("fastapi_swagger", "resources")])

    @app.get("/docs", include_in_schema=False)
    async def get_docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url="docs/assets/swagger-ui-bundle.js",
            swagger_css_url="docs/assets/swagger-ui.css",
            swagger_favicon_url="docs/assets/favicon-32x32.png",
        )

    @app.get("/docs/assets/{name}", include_in_schema=False)
    async def get_docs_asset(name: str, request: Request) -> Response:
        return await assets.get_response(name, request.scope)
