// Everything about the page that the checks want to know.
(() => {
    const all = [...document.querySelectorAll("*")];
    const text = (node) => (node ? node.textContent : null);

    // Luminance and contrast as WCAG 2 defines them.
    const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const luminance = (colour) => {
        const [red, green, blue] = colour.match(/[\d.]+/g).map((part) => channel(part / 255));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const probe = document.createElement("div");
    probe.style.background = "Canvas";
    document.body.append(probe);
    const ground = luminance(getComputedStyle(probe).backgroundColor);
    probe.remove();
    const contrast = (element) => {
        const [dark, light] = [luminance(getComputedStyle(element).color), ground].sort((one, other) => one - other);
        return (light + 0.05) / (dark + 0.05);
    };
    const says = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
    const shown = [...document.body.querySelectorAll("*")].filter(says);

    return {
        ran: typeof ran !== "undefined",
        language: document.documentElement.lang,
        title: document.title,
        mode: document.compatMode,
        elements: [...new Set(all.map((element) => element.localName))],
        attributes: [...new Set(all.flatMap((element) => element.getAttributeNames()))],
        headings: [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((heading) => [heading.localName, text(heading)]),
        store: text(document.querySelector("header p")),
        alert: text(document.querySelector("[role=alert]")),
        numbers: Object.fromEntries([...document.querySelectorAll("dl div")].map((pair) => [
            text(pair.querySelector("dt")), text(pair.querySelector("dd"))])),
        columns: [...document.querySelectorAll("thead tr > *")].map((cell) => [cell.localName, cell.scope, text(cell)]),
        rows: [...document.querySelectorAll("tbody tr")].map((row) => ({
            head: [row.firstElementChild.localName, row.firstElementChild.scope],
            name: text(row.firstElementChild.firstChild),
            trouble: text(row.querySelector(".trouble")),
            cells: [...row.querySelectorAll("td")].map(text),
        })),
        elsewhere: text(document.querySelector(".wide + p")),
        // Neither the body nor anything in it is to be moved sideways.
        width: document.scrollingElement.scrollWidth,
        room: document.documentElement.clientWidth,
        hidden: all.filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0)
            .map((element) => element.localName + "." + element.className),
        dark: ground < 0.5,
        faint: shown.filter((element) => contrast(element) < 4.5).map((element) => element.localName + ": " + text(element)),
    };
})()
