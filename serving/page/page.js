// Shows a classifier that `lsp-keras export` wrote: its answer for an image, its card, its calls.
import { plainLine } from "./plainly.js";
import { curlCommand, pythonLines } from "./snippets.js";

const SHOWN_CLASSES = 10;
const element = (id) => document.getElementById(id);

const state = { models: [], fileName: "image.png" };

function headers() {
  const token = element("token").value;
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function say(message) {
  element("message").textContent = message;
  element("message").hidden = !message;
}

function make(tag, text) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  return made;
}

function row(label, share) {
  const made = make("tr");
  const heading = make("th", label);
  heading.scope = "row";
  const bar = make("progress");
  bar.value = share;
  bar.setAttribute("aria-hidden", "true");
  const middle = make("td");
  middle.append(bar);
  made.append(heading, middle, make("td", `${(100 * share).toFixed(1)} %`));
  return made;
}

async function fetchJson(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  if (answer.status === 401) element("token-field").hidden = false;
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

function currentModel() {
  return state.models.find((model) => model.name === element("model").value);
}

function className(model, label) {
  return model.card?.class_names?.[label] ?? `class ${label}`;
}

function showPrediction(model, prediction) {
  const ranked = prediction.probabilities
    .map((probability, label) => ({ probability, label }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, SHOWN_CLASSES);
  const best = ranked[0];
  element("verdict").textContent =
    `${prediction.class_names}, ${(100 * best.probability).toFixed(1)} %`;
  const rows = ranked.map(({ label, probability }) => row(className(model, label), probability));
  element("classes").replaceChildren(...rows);
}

async function encodeBase64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  // In pieces, for a call takes only so many arguments.
  for (let start = 0; start < bytes.length; start += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  }
  return btoa(text);
}

async function classify(file) {
  const model = currentModel();
  if (!file || !model) return;
  state.fileName = file.name;
  showImage(file);
  showSnippets(model);
  element("classes").replaceChildren();
  element("verdict").textContent = "Asking the model …";
  try {
    const body = {
      signature_name: "serving_bytes",
      instances: [{ b64: await encodeBase64(file) }],
    };
    const path = `v1/models/${encodeURIComponent(model.name)}:predict`;
    const answer = await fetchJson(path, { method: "POST", body: JSON.stringify(body) });
    showPrediction(model, answer.predictions[0]);
    say("");
  } catch (error) {
    element("verdict").textContent = "No answer.";
    say(error.message);
  }
}

function showImage(file) {
  const preview = element("preview");
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  preview.alt = file.name;
  preview.hidden = false;
  element("hint").textContent = file.name;
}

function showCard(model) {
  const card = model.card;
  const evaluation = card?.evaluations?.at(-1);
  element("plainly").textContent = plainLine(evaluation);
  element("statement").textContent =
    evaluation?.statement ?? "No attack on this model has been recorded; expect no robustness.";
  const shares = evaluation
    ? {
        clean: evaluation.clean_accuracy,
        ...evaluation.attacks,
        "worst case": evaluation.worst_case_accuracy,
      }
    : {};
  const known = Object.entries(shares).filter(([, share]) => share);
  element("accuracies").replaceChildren(...known.map(([name, share]) => row(name, share.value)));
  const facts = {
    Version: model.version,
    Data: card?.dataset?.name,
    Method: card?.training?.method ?? (card?.training?.adv ? "at" : undefined),
    Epsilon: evaluation?.threat_model?.epsilon_text,
    Fingerprint: card?.fingerprint,
    Exported: card?.created,
  };
  const entries = Object.entries(facts).filter(([, value]) => value !== undefined);
  element("facts").replaceChildren(
    ...entries.flatMap(([name, value]) => [make("dt", name), make("dd", String(value))]),
  );
}

function showSnippets(model) {
  const base = new URL(".", location.href).href.replace(/\/$/, "");
  element("curl").textContent = curlCommand(base, model.name, state.fileName);
  element("python").textContent = pythonLines(base, model.name, state.fileName);
}

function showModel() {
  const model = currentModel();
  if (!model) return;
  say(model.takes_images ? "" : "This model has no signature serving_bytes for image files.");
  element("file").disabled = !model.takes_images;
  showCard(model);
  showSnippets(model);
}

async function start() {
  try {
    state.models = (await fetchJson("page/models")).models;
  } catch (error) {
    say(error.message);
    return;
  }
  element("model").replaceChildren(
    ...state.models.map((model) => new Option(model.name, model.name)),
  );
  showModel();
}

element("model").addEventListener("change", () => {
  showModel();
  classify(element("file").files[0]);
});
element("token").addEventListener("change", start);
element("file").addEventListener("change", (event) => classify(event.target.files[0]));
for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
  element("drop").addEventListener(type, (event) => {
    event.preventDefault();
    element("drop").classList.toggle("over", type === "dragenter" || type === "dragover");
    if (type === "drop") classify(event.dataTransfer.files[0]);
  });
}
start();
