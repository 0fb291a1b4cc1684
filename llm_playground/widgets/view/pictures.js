// Pictures of the prompt: dropped, pasted, chosen, or named by a path. Their bytes go to the kernel
// once, in pieces; the trait has what they are called and how large they are.

import { h, button, follow, newId, setText, show } from "./dom.js";

/** @typedef {import("./dom.js").View} View */

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} name
 * @property {string} [media_type]
 * @property {number} [size_bytes]
 * @property {string} [sha256] of its bytes, in hex
 * @property {string} [url] where the provider finds it
 * @property {string} [path]
 * @property {string} [thumbnail] a `data:` URL
 * @property {string} [problem] why it cannot be sent
 */

const TAKEN = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const MOST_BYTES = 20_000_000;
// Jupyter's server cuts the connection at 10 MB; smaller messages let others through between them.
const PIECE_BYTES = 1_000_000;
const THUMBNAIL_PX = 96;

/**
 * Why a file is not taken, in a line; empty when it is.
 * @param {{name: string, type: string, size: number}} file
 */
export function refusal({ name, type, size }) {
  if (!TAKEN.includes(type)) return `${name} is no picture: PNG, JPEG, GIF and WebP are taken.`;
  if (size === 0) return `${name} is empty.`;
  if (size > MOST_BYTES) return `${name} has ${sizeText(size)}; at most 20 MB are taken. Make it smaller.`;
  return "";
}

/**
 * A size for people: 980 B, 214 KB, 1.2 MB.
 * @param {number} bytes
 */
export function sizeText(bytes) {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 999_500) return `${Math.round(bytes / 1_000)} KB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/**
 * Where each piece of so many bytes begins and ends.
 * @param {number} bytes
 * @param {number} most in one piece
 * @returns {[number, number][]}
 */
export function pieces(bytes, most = PIECE_BYTES) {
  return Array.from({ length: Math.ceil(bytes / most) },
    (_, at) => [at * most, Math.min(bytes, (at + 1) * most)]);
}

/**
 * @param {View} view
 * @param {HTMLTextAreaElement} prompt takes pasted pictures, and the focus of what goes
 * @returns {{element: HTMLElement, opener: HTMLElement, takeDrops: (place: HTMLElement) => void}}
 */
export function createPictures(view, prompt) {
  const { signal } = view;
  const shelf = h("ul", { class: "llm-shelf", "aria-label": "Images", hidden: true });
  const problem = h("p", { class: "llm-problem", role: "alert" });
  const note = h("p", { class: "llm-warning" });
  /** @type {Map<string, string>} */
  const thumbnails = new Map();

  /** @returns {readonly Entry[]} */
  const entries = () => view.model.get("images");
  /** @param {readonly Entry[]} next */
  const edit = (next) => view.edit("images", next);
  /** @param {string} id */
  const drop = (id) => edit(entries().filter((entry) => entry.id !== id));
  /** @param {string} sentence */
  const complain = (sentence) => setText(problem, sentence);

  /** @param {Iterable<File>} files */
  const addFiles = async (files) => {
    complain("");
    for (const file of files) await addFile(file);
  };
  /** @param {File} file */
  const addFile = async (file) => {
    const why = refusal(file);
    if (why) return complain(why);
    const id = newId();
    try {
      const thumbnail = await drawnSmall(file);
      // The bytes go first: a Run that knows the entry finds them there, or on their way.
      const arrived = send(view, id, file.name, await file.arrayBuffer());
      edit([...entries(), { id, name: file.name, media_type: file.type, size_bytes: file.size, thumbnail }]);
      const facts = await arrived;
      edit(entries().map((entry) => (entry.id === id ? { ...entry, ...facts } : entry)));
      view.say(`${file.name} added.`);
    } catch (error) {
      drop(id);
      complain(error instanceof Error ? error.message : `${file.name} cannot be read.`);
    }
  };
  /** @param {string} path */
  const addPath = async (path) => {
    complain("");
    try {
      const entry = await view.ask("pictures.add", { path });
      edit([...entries(), entry]);
      view.say(`${entry.name} added.`);
      return true;
    } catch (error) {
      complain(/** @type {Error} */ (error).message);
      return false;
    }
  };
  /** @param {Entry} entry */
  const remove = (entry) => {
    drop(entry.id);
    view.say(`${entry.name} removed.`);
    prompt.focus();
  };

  const paint = () => {
    show(shelf, entries().length > 0, prompt);
    shelf.replaceChildren(...entries().map((entry) => {
      const image = h("img", { alt: "", width: 40, height: 40, hidden: true });
      lookUp(view, thumbnails, entry, (thumbnail) => {
        image.hidden = thumbnail === "";
        if (thumbnail) image.src = thumbnail;
      });
      const cross = button("×", { class: "llm-cross", "aria-label": `Remove ${entry.name}`, title: `Remove ${entry.name}` },
        signal, () => remove(entry));
      return h("li", { class: "llm-picture", title: entry.url ?? entry.path ?? entry.name }, image,
        h("span", { class: "llm-picture-name" }, entry.name),
        h("span", { class: entry.problem ? "llm-problem" : "llm-side" }, factsOf(entry)), cross);
    }));
  };
  follow(view, ["images"], paint);
  follow(view, ["picture_note"], () => setText(note, view.model.get("picture_note")));
  takePastes(view, prompt, addFiles);
  const adding = createAdding(view, addPath, addFiles);
  const element = h("div", { class: "llm-pictures" }, shelf, adding.row, problem, note);
  return { element, opener: adding.opener, takeDrops: (place) => takeDrops(view, place, addFiles) };
}

/** @param {Entry} entry */
function factsOf({ problem, size_bytes, url }) {
  if (problem) return problem;
  if (url) return "from the web";
  return size_bytes === undefined ? "" : sizeText(size_bytes);
}

/**
 * The thumbnail of a picture, from its entry, from before, or from the kernel.
 * @param {View} view
 * @param {Map<string, string>} known
 * @param {Entry} entry
 * @param {(thumbnail: string) => void} use
 */
function lookUp(view, known, { id, thumbnail, url, problem }, use) {
  const found = thumbnail ?? known.get(id);
  // A picture's address is the provider's business: this page fetches nothing.
  if (found !== undefined || url || problem) return use(found ?? "");
  view.ask("pictures.thumbnail", { id }).then((drawing) => {
    known.set(id, drawing);
    use(drawing);
  }, () => {});
}

/**
 * "+ Image" and the line that it opens: a path, an address, or a file of this computer.
 * @param {View} view
 * @param {(path: string) => Promise<boolean>} addPath
 * @param {(files: Iterable<File>) => void} addFiles
 */
function createAdding(view, addPath, addFiles) {
  const { signal } = view;
  const path = h("input", {
    type: "text", class: "llm-path", "aria-label": "Path or web address of an image", spellcheck: "false",
    autocomplete: "off", placeholder: "cat.png, or https://…",
  });
  const chooser = h("input", { type: "file", accept: TAKEN.join(","), multiple: true, hidden: true });
  const add = async () => {
    const given = path.value.trim();
    if (given && await addPath(given)) path.value = "";
  };
  const row = h("div", { class: "llm-adding", hidden: true }, path,
    button("Add", {}, signal, add), button("Choose file…", {}, signal, () => chooser.click()), chooser);
  /** @param {boolean} open */
  const toggle = (open) => {
    show(row, open, opener);
    opener.setAttribute("aria-expanded", String(open));
    if (open) path.focus();
  };
  const opener = button("+ Image", { class: "llm-link", "aria-expanded": "false", title: "Or drop or paste one" },
    signal, () => toggle(Boolean(row.hidden)));
  chooser.addEventListener("change", () => {
    addFiles([...(chooser.files ?? [])]);
    chooser.value = "";
  }, { signal });
  view.localKeys.set(row, (event) => {
    if (event.key === "Escape") toggle(false);
    else if (event.key === "Enter" && event.target === path && !event.ctrlKey && !event.metaKey) add();
    else return false;
    return true;
  });
  return { row, opener };
}

/**
 * @param {View} view
 * @param {HTMLElement} box
 * @param {(files: Iterable<File>) => void} add
 */
function takePastes({ signal }, box, add) {
  box.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    // A copied table or paragraph comes with a picture of itself; its text is what is wanted.
    if (files.length === 0 || event.clipboardData?.types.includes("text/plain")) return;
    event.preventDefault();
    add(files);
  }, { signal });
}

/**
 * @param {View} view
 * @param {HTMLElement} place
 * @param {(files: Iterable<File>) => void} add
 */
function takeDrops({ signal }, place, add) {
  /** @param {DragEvent} event */
  const over = (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    place.classList.toggle("llm-dropping", event.type === "dragover");
    if (event.type === "drop") add([...event.dataTransfer.files]);
  };
  /** @param {DragEvent} event */
  const leave = (event) => {
    if (!place.contains(/** @type {Node | null} */ (event.relatedTarget))) place.classList.remove("llm-dropping");
  };
  place.addEventListener("dragover", over, { signal });
  place.addEventListener("drop", over, { signal });
  place.addEventListener("dragleave", leave, { signal });
}

/**
 * Send a picture's bytes; resolved with what the kernel has found it to be.
 * @param {View} view
 * @param {string} id
 * @param {string} name
 * @param {ArrayBuffer} bytes
 * @returns {Promise<Partial<Entry>>}
 */
function send({ model, ask }, id, name, bytes) {
  for (const [at, [start, end]] of pieces(bytes.byteLength).entries()) {
    model.send({ type: "piece", id, at }, undefined, [bytes.slice(start, end)]);
  }
  return ask("pictures.add", { id, name });
}

/**
 * A small picture of a file as a `data:` URL.
 * @param {File} file
 * @returns {Promise<string>}
 */
async function drawnSmall(file) {
  const picture = await createImageBitmap(file).catch(() => null);
  if (picture === null) throw new Error(`${file.name} is no picture that can be read.`);
  const scale = Math.min(1, THUMBNAIL_PX / Math.max(picture.width, picture.height));
  const canvas = h("canvas", {
    width: Math.max(1, Math.round(picture.width * scale)), height: Math.max(1, Math.round(picture.height * scale)),
  });
  canvas.getContext("2d")?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return canvas.toDataURL("image/webp", 0.8);
}
