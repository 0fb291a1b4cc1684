// Images and files of the prompt: dropped, pasted, chosen, or named by a path or web address. Their
// bytes are sent to the kernel once, in chunks; the trait holds only names and sizes.

import { button, follow, h, newId, setText, show } from "./dom.js";
import { createUndo } from "./status_line.js";

/** @typedef {import("./dom.js").View} View */

/**
 * @typedef {object} AttachmentEntry
 * @property {string} id
 * @property {string} name
 * @property {string} [media_type]
 * @property {number} [size_bytes]
 * @property {string} [sha256] hex digest of its bytes
 * @property {string} [url] web address that the provider fetches
 * @property {string} [path]
 * @property {string} [thumbnail] a `data:` URL
 * @property {string} [problem] why it cannot be sent
 */

const ACCEPTED_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const MAX_IMAGE_BYTES = 20_000_000;
const MAX_FILE_BYTES = 50_000_000;
// Jupyter's server closes the connection at messages over 10 MB; small chunks let other messages
// through in between.
const CHUNK_BYTES = 1_000_000;
const THUMBNAIL_PX = 96;
/**
 * The traits with entries, and what the kernel calls one of them.
 * @typedef {"images" | "files"} Trait
 */
const KINDS = { images: "image", files: "file" };

/**
 * Why a file is rejected, in one line; empty if it is accepted.
 * @param {{name: string, type: string, size: number}} file
 */
export function rejectionReason({ name, type, size }) {
  const isImage = traitOf({ name, type }) === "images";
  const most = isImage ? MAX_IMAGE_BYTES : MAX_FILE_BYTES;
  if (isImage && !ACCEPTED_TYPES.includes(type)) {
    return `${name} is not a supported image. Use PNG, JPEG, GIF or WebP.`;
  }
  if (size === 0) return `${name} is empty.`;
  if (size > most) return `${name} is ${formatSize(size)}; the limit is ${most / 1_000_000} MB. Make it smaller.`;
  return "";
}

/**
 * The trait that holds a local file: pictures are images, all else is a file. SVG is text.
 * @param {{name: string, type: string}} file
 * @returns {Trait}
 */
export function traitOf({ type }) {
  return type.startsWith("image/") && type !== "image/svg+xml" ? "images" : "files";
}

/**
 * A size in readable units: 980 B, 214 KB, 1.2 MB.
 * @param {number} bytes
 */
export function formatSize(bytes) {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 999_500) return `${Math.round(bytes / 1_000)} KB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/**
 * The start and end of each chunk.
 * @param {number} bytes
 * @param {number} size of one chunk
 * @returns {[number, number][]}
 */
export function chunks(bytes, size = CHUNK_BYTES) {
  return Array.from({ length: Math.ceil(bytes / size) },
    (_, at) => [at * size, Math.min(bytes, (at + 1) * size)]);
}

/**
 * @param {View} view
 * @param {HTMLTextAreaElement} prompt accepts pasted attachments, and gets the focus after a removal
 * @returns {{element: HTMLElement, opener: HTMLElement, acceptDrops: (place: HTMLElement) => void}}
 */
export function createAttachments(view, prompt) {
  const { signal } = view;
  const lists = {
    images: h("ul", { class: "llm-attached", "aria-label": "Images", hidden: true }),
    files: h("ul", { class: "llm-attached", "aria-label": "Files", hidden: true }),
  };
  const problem = h("p", { class: "llm-problem", role: "alert" });
  const note = h("p", { class: "llm-warning" });
  const undo = createUndo(view, prompt);
  /** @type {Map<string, string>} */
  const thumbnails = new Map();

  /**
   * @param {Trait} trait
   * @returns {readonly AttachmentEntry[]}
   */
  const entries = (trait) => view.model.get(trait);
  /**
   * @param {Trait} trait
   * @param {AttachmentEntry} entry
   */
  const append = (trait, entry) => view.edit(trait, [...entries(trait), entry]);
  /**
   * @param {Trait} trait
   * @param {string} id
   */
  const drop = (trait, id) => view.edit(trait, entries(trait).filter((entry) => entry.id !== id));
  /** @param {string} sentence */
  const showProblem = (sentence) => setText(problem, sentence);

  /** @param {Iterable<File>} files */
  const addFiles = async (files) => {
    showProblem("");
    for (const file of files) await addFile(file);
  };
  /** @param {File} file */
  const addFile = async (file) => {
    const reason = rejectionReason(file);
    if (reason) return showProblem(reason);
    const id = newId();
    const trait = traitOf(file);
    try {
      const preview = trait === "images" ? { thumbnail: await createThumbnail(file) } : {};
      // Send the bytes before adding the entry, so that a Run with the entry also has its bytes.
      const uploaded = upload(view, { id, name: file.name, kind: KINDS[trait] }, await file.arrayBuffer());
      append(trait, { id, name: file.name, media_type: file.type, size_bytes: file.size, ...preview });
      const facts = await uploaded;
      view.edit(trait, entries(trait).map((entry) => (entry.id === id ? { ...entry, ...facts } : entry)));
      view.announce(`${file.name} added.`);
    } catch (error) {
      drop(trait, id);
      showProblem(error instanceof Error ? error.message : `${file.name} cannot be read.`);
    }
  };
  /** @param {string} path */
  const addPath = async (path) => {
    showProblem("");
    try {
      const { kind, ...entry } = await view.request("add_attachment", { path });
      append(kind === "file" ? "files" : "images", entry);
      view.announce(`${entry.name} added.`);
      return true;
    } catch (error) {
      showProblem(/** @type {Error} */ (error).message);
      return false;
    }
  };
  /**
   * @param {Trait} trait
   * @param {AttachmentEntry} entry
   */
  const remove = (trait, entry) => {
    const before = entries(trait);
    drop(trait, entry.id);
    undo.offer(`${entry.name} was removed.`, () => view.edit(trait, before));
    prompt.focus();
  };

  /** @param {Trait} trait */
  const paint = (trait) => {
    const list = lists[trait];
    show(list, entries(trait).length > 0, prompt);
    list.replaceChildren(...entries(trait).map((entry) => {
      const image = h("img", { alt: "", width: 40, height: 40, hidden: true });
      if (trait === "images") {
        loadThumbnail(view, thumbnails, entry, (thumbnail) => {
          image.hidden = thumbnail === "";
          if (thumbnail) image.src = thumbnail;
        });
      }
      const label = `Remove ${entry.name}`;
      const attributes = { class: "llm-cross", "aria-label": label, title: label };
      const cross = button("×", attributes, signal, () => remove(trait, entry));
      return h("li", { class: "llm-attachment", title: entry.url ?? entry.path ?? entry.name }, image,
        h("span", { class: "llm-attachment-name" }, entry.name),
        h("span", { class: entry.problem ? "llm-problem" : "llm-side" }, details(entry)), cross);
    }));
  };
  follow(view, ["images"], () => paint("images"));
  follow(view, ["files"], () => paint("files"));
  follow(view, ["attachment_note"], () => setText(note, view.model.get("attachment_note")));
  follow(view, ["images", "files", "running"], undo.drop); // a Run forgets what was removed
  acceptPastes(view, prompt, addFiles);
  const adding = createAddRow(view, addPath, addFiles);
  const element = h("div", { class: "llm-attachments" }, lists.images, lists.files, adding.row, problem, note);
  return { element, opener: adding.opener, acceptDrops: (place) => acceptDrops(view, place, addFiles) };
}

/** @param {AttachmentEntry} entry */
function details({ problem, size_bytes, url }) {
  if (problem) return problem;
  if (url) return "from the web";
  return size_bytes === undefined ? "" : formatSize(size_bytes);
}

/**
 * Find an image's thumbnail in its entry, among those already loaded, or in the kernel.
 * @param {View} view
 * @param {Map<string, string>} known
 * @param {AttachmentEntry} entry
 * @param {(thumbnail: string) => void} use
 */
function loadThumbnail(view, known, { id, thumbnail, url, problem }, use) {
  const found = thumbnail ?? known.get(id);
  // Only the provider fetches web addresses; this page does not.
  if (found !== undefined || url || problem) return use(found ?? "");
  view.request("thumbnail", { id }).then((drawing) => {
    known.set(id, drawing);
    use(drawing);
  }, () => {});
}

/**
 * Create the button "+ Image or file" and the row that it opens, for a path, a web address or a local file.
 * @param {View} view
 * @param {(path: string) => Promise<boolean>} addPath
 * @param {(files: Iterable<File>) => void} addFiles
 */
function createAddRow(view, addPath, addFiles) {
  const { signal } = view;
  const path = h("input", {
    type: "text", class: "llm-path", "aria-label": "Path or web address of an image or file", spellcheck: "false",
    autocomplete: "off", placeholder: "cat.png, report.pdf, or https://…",
  });
  const chooser = h("input", { type: "file", multiple: true, hidden: true });
  const add = async () => {
    const typed = path.value.trim();
    if (typed && await addPath(typed)) path.value = "";
  };
  const row = h("div", { class: "llm-adding", hidden: true }, path,
    button("Add", {}, signal, add), button("Choose file…", {}, signal, () => chooser.click()), chooser);
  /** @param {boolean} open */
  const toggle = (open) => {
    show(row, open, opener);
    opener.setAttribute("aria-expanded", String(open));
    if (open) path.focus();
  };
  const opener = button("+ Image or file", { class: "llm-link", "aria-expanded": "false", title: "Or drop or paste one" },
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
function acceptPastes({ signal }, box, add) {
  box.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    // Office programs add an image to copied tables and text, of which only the text is wanted.
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
function acceptDrops({ signal }, place, add) {
  /** @param {DragEvent} event */
  const onDrag = (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    place.classList.toggle("llm-dropping", event.type === "dragover");
    if (event.type === "drop") add([...event.dataTransfer.files]);
  };
  /** @param {DragEvent} event */
  const onLeave = (event) => {
    if (!place.contains(/** @type {Node | null} */ (event.relatedTarget))) place.classList.remove("llm-dropping");
  };
  place.addEventListener("dragover", onDrag, { signal });
  place.addEventListener("drop", onDrag, { signal });
  place.addEventListener("dragleave", onLeave, { signal });
}

/**
 * Send the bytes of an image or file; resolves with the details that the kernel found.
 * @param {View} view
 * @param {{id: string, name: string, kind: string}} described
 * @param {ArrayBuffer} bytes
 * @returns {Promise<Partial<AttachmentEntry>>}
 */
function upload({ model, request }, { id, name, kind }, bytes) {
  for (const [at, [start, end]] of chunks(bytes.byteLength).entries()) {
    model.send({ type: "piece", id, at }, undefined, [bytes.slice(start, end)]);
  }
  return request("add_attachment", { id, name, kind });
}

/**
 * A thumbnail of an image file, as a `data:` URL.
 * @param {File} file
 * @returns {Promise<string>}
 */
async function createThumbnail(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (bitmap === null) throw new Error(`${file.name} cannot be read as an image.`);
  const scale = Math.min(1, THUMBNAIL_PX / Math.max(bitmap.width, bitmap.height));
  const canvas = h("canvas", {
    width: Math.max(1, Math.round(bitmap.width * scale)), height: Math.max(1, Math.round(bitmap.height * scale)),
  });
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.toDataURL("image/webp", 0.8);
}
