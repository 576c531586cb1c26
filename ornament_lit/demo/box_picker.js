// A photograph and a box on it. The value is {image, box}; box is [x0, y0, x1, y1] or, where it is turned,
// [x0, y0, x1, y1, degrees clockwise about its centre], in pixels of the upright photograph.
const find = (what) => element.querySelector(what);
const photo = find('.photo'), stage = find('.stage'), frame = find('.box'), overlay = find('.preview');
const file = find('.drop input'), drop = find('.drop'), say = find('.say'), clear = find('.clear');
const angle = find('.angle'), slider = find('.angle input'), degrees = find('.angle output');
const SMALLEST = 5; // pixels of the screen that a box must have; a tap draws none
let drag = null; // what the pointer does: {role, start, box, now}

const value = () => ({ image: null, box: null, ...props.value });
const size = () => [photo.naturalWidth, photo.naturalHeight];
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const at = (event) => {
  const r = photo.getBoundingClientRect(), [w, h] = size();
  return [(event.clientX - r.left) / r.width * w, (event.clientY - r.top) / r.height * h];
};
const inside = ([x, y]) => [clamp(x, 0, size()[0]), clamp(y, 0, size()[1])];
const turned = ([x, y], by) => {
  const a = by * Math.PI / 180;
  return [x * Math.cos(a) - y * Math.sin(a), x * Math.sin(a) + y * Math.cos(a)];
};
const centre = (box) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
const whole = (box) => [...box.slice(0, 4).map(Math.round), ...(box[4] ? [box[4]] : [])];
const around = ([x, y], w, h, by) => whole([x - w / 2, y - h / 2, x + w / 2, y + h / 2, by]);
const scale = () => photo.getBoundingClientRect().width / size()[0];
const largeEnough = (box) => Math.min(box[2] - box[0], box[3] - box[1]) >= Math.max(1, Math.min(SMALLEST / scale(), Math.min(...size()) / 4));

const corner = (box, role) => {
  const [x, y] = centre(box), w = (box[2] - box[0]) / 2, h = (box[3] - box[1]) / 2;
  const [dx, dy] = turned([role.includes('w') ? -w : w, role.includes('n') ? -h : h], box[4] || 0);
  return [x + dx, y + dy];
};
const OPPOSITE = { nw: 'se', ne: 'sw', se: 'nw', sw: 'ne' };
const changes = {
  draw: ({ start, now }) => whole([Math.min(start[0], now[0]), Math.min(start[1], now[1]), Math.max(start[0], now[0]), Math.max(start[1], now[1])]),
  move: ({ start, now, box }) => shifted(box, now[0] - start[0], now[1] - start[1]),
  turn: ({ now, box }) => {
    const [x, y] = centre(box), by = Math.round(Math.atan2(now[0] - x, y - now[1]) * 180 / Math.PI);
    return whole([...box.slice(0, 4), Math.abs(by) < 3 ? 0 : by]);
  },
  size: ({ now, box, role }) => {
    const fixed = corner(box, OPPOSITE[role]), [w, h] = turned([now[0] - fixed[0], now[1] - fixed[1]], -(box[4] || 0));
    return around([(fixed[0] + now[0]) / 2, (fixed[1] + now[1]) / 2], Math.abs(w), Math.abs(h), box[4]);
  },
};
const shifted = (box, dx, dy) => {
  const [w, h] = size(), [x, y] = centre(box);
  const free = box[4] ? [0, 0] : [(box[2] - box[0]) / 2, (box[3] - box[1]) / 2];
  return around([clamp(x + dx, free[0], w - free[0]), clamp(y + dy, free[1], h - free[1])], box[2] - box[0], box[3] - box[1], box[4]);
};
const dragged = () => (changes[drag.role] || changes.size)(drag);

const paint = (box) => {
  frame.hidden = angle.hidden = !box;
  if (!box || !photo.naturalWidth) return;
  const [w, h] = size();
  frame.style.cssText = `left:${100 * box[0] / w}%;top:${100 * box[1] / h}%;width:${100 * (box[2] - box[0]) / w}%;height:${100 * (box[3] - box[1]) / h}%;transform:rotate(${box[4] || 0}deg)`;
  slider.value = box[4] || 0;
  degrees.textContent = `${box[4] || 0}°`;
};
const showPreview = () => {
  const { image, box } = value(), preview = props.preview;
  const fits = !drag && preview && image && box && preview.path === image.path && JSON.stringify(preview.box) === JSON.stringify(box);
  overlay.hidden = !fits;
  element.classList.toggle('shown', !!fits);
  if (!fits) return;
  const [x0, y0, x1, y1] = preview.place.map((share) => 100 * share);
  overlay.style.cssText = `left:${x0}%;top:${y0}%;width:${x1 - x0}%;height:${y1 - y0}%`;
  if (overlay.getAttribute('src') !== preview.src) overlay.src = preview.src;
};
const tell = () => {
  const { image, box } = value(), [w, h] = size();
  element.classList.toggle('full', !!image);
  const keys = matchMedia('(hover: hover)').matches ? '; arrow keys move it, with Shift they size it' : '';
  say.textContent = !image ? '' : box ? `box ${box.slice(0, 4).join(', ')} of ${w} × ${h} pixels${keys}`
    : 'Drag a box where the ornament is to be worn: its size, and a tenth to a quarter more on each side.';
};
const show = () => {
  const { image, box } = value();
  if (image && photo.dataset.path !== image.path) { photo.dataset.path = image.path; photo.src = image.url; }
  if (!image) { photo.removeAttribute('src'); delete photo.dataset.path; }
  paint(box); showPreview(); tell();
};
const put = (change) => { props.value = { ...value(), ...change }; show(); };

const take = async (chosen) => {
  if (!chosen) return;
  say.textContent = `uploading ${chosen.name} …`;
  try {
    const { path, url } = await upload(chosen);
    put({ image: { path, url, orig_name: chosen.name, meta: { _type: 'gradio.FileData' } }, box: null });
    trigger('upload');
  } catch (error) { say.textContent = `not uploaded: ${error.message || error}`; }
};
photo.addEventListener('load', () => { stage.style.width = `min(100%, calc(min(52vh, 520px) * ${photo.naturalWidth / photo.naturalHeight}))`; show(); });
photo.addEventListener('error', () => { if (photo.getAttribute('src')) say.textContent = 'This browser cannot show the file; save it as JPEG or PNG.'; });
file.addEventListener('change', () => { take(file.files[0]); file.value = ''; });
element.addEventListener('dragover', (event) => { event.preventDefault(); drop.classList.add('over'); });
element.addEventListener('dragleave', () => drop.classList.remove('over'));
element.addEventListener('drop', (event) => { event.preventDefault(); drop.classList.remove('over'); take(event.dataTransfer.files[0]); });
element.addEventListener('paste', (event) => take([...event.clipboardData.files].find((each) => each.type.startsWith('image/'))));
clear.addEventListener('click', () => { put({ image: null, box: null }); trigger('clear'); });

stage.addEventListener('pointerdown', (event) => {
  if (event.button || !value().image || !photo.naturalWidth) return;
  event.preventDefault();
  stage.setPointerCapture(event.pointerId);
  const role = event.target.dataset.role || 'draw', start = role === 'draw' ? inside(at(event)) : at(event);
  drag = { role, start, now: start, box: value().box, moved: false };
});
stage.addEventListener('pointermove', (event) => {
  if (!drag) return;
  drag.now = drag.role === 'turn' ? at(event) : inside(at(event));
  drag.moved = true;
  paint(dragged()); showPreview();
});
stage.addEventListener('pointerup', (event) => {
  if (!drag) return;
  const box = drag.moved ? dragged() : drag.box;
  const changed = drag.moved && largeEnough(box);
  drag = null;
  if (!changed) { show(); return; }
  put({ box }); stage.focus({ preventScroll: true }); trigger('input');
});
stage.addEventListener('pointercancel', () => { drag = null; show(); });

slider.addEventListener('input', () => { const { box } = value(); if (box) put({ box: whole([...box.slice(0, 4), Number(slider.value)]) }); });
slider.addEventListener('change', () => { if (value().box) trigger('input'); });
stage.addEventListener('keydown', (event) => {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!way || !value().image) return;
  event.preventDefault();
  const [w, h] = size(), by = Math.max(1, Math.round(Math.max(w, h) / 200)), [dx, dy] = [way[0] * by, way[1] * by];
  const box = value().box || [w * .4, h * .4, w * .6, h * .6].map(Math.round);
  const next = event.shiftKey ? [box[0], box[1], Math.min(box[2] + dx, box[4] ? Infinity : w), Math.min(box[3] + dy, box[4] ? Infinity : h), ...box.slice(4)] : shifted(box, dx, dy);
  if (largeEnough(next)) { put({ box: whole(next) }); trigger('input'); }
});
watch(['value', 'preview'], show);
show();
