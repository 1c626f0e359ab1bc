// Makes gym_hil/console/static/vendor from the packages in node_modules; with --check, proves that it is what is there.

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, version as esbuildVersion } from "esbuild";

const HERE = new URL("./", import.meta.url);
const TARGET = new URL("../gym_hil/console/static/vendor/", HERE);
const LIBRARIES = ["three", "nipplejs"];

/** Reads a package's version, and its licence from the package or, where it ships none, from licences/. */
async function describe(name) {
  const folder = new URL(`node_modules/${name}/`, HERE);
  const { version, license } = JSON.parse(await readFile(new URL("package.json", folder), "utf8"));
  const text = await readFile(new URL("LICENSE", folder), "utf8").catch(() =>
    readFile(new URL(`licences/${name}.txt`, HERE), "utf8"),
  );
  return { name, version, license, text: text.trim() };
}

async function bundle({ name, version, license }) {
  const result = await build({
    absWorkingDir: fileURLToPath(HERE),
    entryPoints: [`vendor/${name}.ts`],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    banner: { js: `/* ${name} ${version}, ${license}; see LICENSES.txt. Made by web/build.mjs. */` },
    write: false,
    tsconfigRaw: "{}", // the paths in tsconfig.json lead to types
    logLevel: "warning",
  });
  return result.outputFiles[0].text;
}

/** Everything that belongs into the folder: file name -> text. */
async function make() {
  const libraries = await Promise.all(LIBRARIES.map(describe));
  const files = new Map();
  for (const library of libraries) {
    files.set(`${library.name}.js`, await bundle(library));
    // What the bundle exports is its type as well, for the check of the page's types.
    files.set(`${library.name}.d.ts`, await readFile(new URL(`vendor/${library.name}.ts`, HERE), "utf8"));
  }
  files.set(
    "LICENSES.txt",
    libraries.map(({ name, version, text }) => `${name} ${version}\n\n${text}\n`).join(`\n${"-".repeat(72)}\n\n`),
  );
  const manifest = { esbuild: esbuildVersion, libraries: {}, sha256: {} };
  for (const { name, version, license } of libraries) {
    manifest.libraries[name] = { version, license };
  }
  for (const [name, text] of files) {
    manifest.sha256[name] = createHash("sha256").update(text).digest("hex");
  }
  files.set("manifest.json", `${JSON.stringify(manifest, null, 2)}\n`);
  return files;
}

const files = await make();
if (process.argv.includes("--check")) {
  for (const [name, text] of files) {
    const kept = await readFile(new URL(name, TARGET), "utf8").catch(() => "");
    if (kept !== text) {
      console.error(`vendor/${name} is not what web/build.mjs makes; run: cd web && npm run build`);
      process.exitCode = 1;
    }
  }
} else {
  await mkdir(TARGET, { recursive: true });
  for (const [name, text] of files) {
    await writeFile(new URL(name, TARGET), text);
    console.log(`${name}: ${Buffer.byteLength(text)} bytes`);
  }
}
