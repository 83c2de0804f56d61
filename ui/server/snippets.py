"""Ready-made calls of the port, with the right address, model and key. Knows no widget."""


def curl(address: str, model: str, key: str | None) -> str:
    authorization = f' \\\n  -H "Authorization: Bearer {key}"' if key else ""
    return (
        f"curl {address}/v1/chat/completions \\\n"
        f'  -H "Content-Type: application/json"{authorization} \\\n'
        f"""  -d '{{"model": "{model}",\n"""
        """       "messages": [{"role": "user", "content": "Hello"}]}'"""
    )


def openai_python(address: str, model: str, key: str | None) -> str:
    return (
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{address}/v1", api_key="{key or "none"}")\n'
        "stream = client.chat.completions.create(\n"
        f'    model="{model}",\n'
        '    messages=[{"role": "user", "content": "Hello"}],\n'
        "    stream=True,\n"
        ")\n"
        "for chunk in stream:\n"
        '    print(chunk.choices[0].delta.content or "", end="")\n'
    )
