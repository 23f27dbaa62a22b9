// Commands that do what the page does.

function shellQuote(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export function curlCommand(base, model, file) {
  const url = `${base}/v1/models/${encodeURIComponent(model)}:predict`;
  return [
    `base64 -w0 ${shellQuote(file)} |`,
    `  sed 's/.*/{"signature_name":"serving_bytes","instances":[{"b64":"&"}]}/' |`,
    `  curl --data-binary @- ${shellQuote(url)}`,
  ].join("\n");
}

export function pythonLines(base, model, file) {
  return [
    "from lsp_keras.serving import Client",
    "",
    `client = Client(${JSON.stringify(base)}, model=${JSON.stringify(model)})`,
    `print(client.predict_images([${JSON.stringify(file)}]))`,
  ].join("\n");
}
