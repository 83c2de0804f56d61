// Vercel's AI SDK with its provider for OpenAI's dialect. Told like steps.py: a JSON object a line.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [port, model, folder] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${folder}/`));
const bring = (name) => import(pathToFileURL(require.resolve(name)));
const { generateText, streamText, generateObject, embedMany, tool, stepCountIs } = await bring("ai");
const { createOpenAICompatible } = await bring("@ai-sdk/openai-compatible");
const { z } = await bring("zod");

const provider = createOpenAICompatible({
  name: "slipstream",
  baseURL: `http://127.0.0.1:${port}/v1`,
  supportsStructuredOutputs: true,
});
const common = { model: provider(model), maxRetries: 0, maxOutputTokens: 100 };
const prompt = "Name a colour of the sky.";

function assert(truth, sentence) {
  if (!truth) throw new Error(sentence);
}

const steps = {
  generateText: async () => assert((await generateText({ ...common, prompt })).text, "no text came"),
  streamText: async () => {
    let text = "";
    for await (const part of streamText({ ...common, prompt }).textStream) text += part;
    assert(text, "no text came");
  },
  generateObject: async () => {
    const schema = z.object({ name: z.string(), red: z.number().int() });
    const { object } = await generateObject({ ...common, prompt, schema, maxOutputTokens: 200 });
    assert(schema.safeParse(object).success, "the object is of another form");
  },
  "a tools loop, the first turn demanded": async () => {
    const called = [];
    const temperature = tool({
      description: "Tells the temperature of a city.",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => called.push(city) && "21",
    });
    const { steps: turns } = await generateText({
      ...common,
      prompt: "How warm is it in Rome?",
      tools: { temperature },
      stopWhen: stepCountIs(2),
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? "required" : "none" }),
    });
    assert(called.length, "the tool was not called");
    assert(turns.length === 2 && turns[1].text, "no answer came after the tool's result");
  },
  embedMany: async () => {
    const { embeddings } = await embedMany({ model: provider.textEmbeddingModel(model), values: ["sky", "sea"] });
    assert(embeddings.length === 2, "not one vector for each text");
  },
};

for (const [step, drive] of Object.entries(steps)) {
  try {
    await drive();
    console.log(JSON.stringify({ step, passed: true, sentence: "" }));
  } catch (fault) {
    console.log(JSON.stringify({ step, passed: false, sentence: `${fault.name}: ${fault.message}`.slice(0, 400) }));
  }
}
