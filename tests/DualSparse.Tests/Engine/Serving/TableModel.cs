using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Models.Text;

namespace DualSparse.Tests.Engine.Serving;

/// <summary>
/// A small OLMoE in a folder of its own whose next token is a table: its layer adds nothing, and token t's hidden state is one-hot. Its
/// vocabulary is the 256 bytes, and after them special tokens and words of one token.
/// </summary>
internal sealed class TableModel : IDisposable
{
    private const int Layers = 1, Experts = 4;

    // Its hidden states are as wide as its vocabulary is long: heads and kernels want whole numbers of eights.
    private const int Eights = 8;

    // Nothing else has a chance beside it.
    private const float Logit = 30;

    private static readonly string[] s_special = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"];

    private readonly TemporaryFolder folder = new();
    private readonly string[] words;

    /// <summary>Makes it.</summary>
    /// <param name="next">What follows each id; another id is followed by 0.</param>
    /// <param name="config">Fields of config.json to set.</param>
    public TableModel(IReadOnlyDictionary<int, int> next, params (string Name, JsonNode? Value)[] config)
        : this([], next, config)
    {
    }

    /// <summary>Makes one with words that are a token each, beside bytes and special tokens; see <see cref="Word"/>.</summary>
    /// <param name="words">The words.</param>
    /// <param name="next">What follows each id; another id is followed by 0.</param>
    /// <param name="config">Fields of config.json to set.</param>
    public TableModel(string[] words, IReadOnlyDictionary<int, int> next, params (string Name, JsonNode? Value)[] config)
    {
        this.words = words;
        var fields = JsonNode.Parse($$"""
            {"model_type":"olmoe","vocab_size":{{Vocabulary}},"hidden_size":{{Vocabulary}},"intermediate_size":8,"num_hidden_layers":{{Layers}},
            "num_attention_heads":4,"num_key_value_heads":4,"hidden_act":"silu","max_position_embeddings":512,"rms_norm_eps":1e-6,"rope_theta":10000.0,
            "num_experts":{{Experts}},"num_experts_per_tok":2,"norm_topk_prob":false,"tie_word_embeddings":false,"eos_token_id":{{Id("</s>")}}}
            """)!.AsObject();
        foreach (var (name, value) in config)
            fields[name] = value;
        File.WriteAllText(folder.File("config.json"), fields.ToJsonString());
        File.WriteAllText(folder.File("tokenizer.json"), TokenizerJson());
        WriteTensors(next);
    }

    /// <summary>Its folder.</summary>
    public string Path => folder.Path;

    /// <summary>The id of a one-byte character or a special token.</summary>
    public static int Id(string token) => token.Length == 1 ? token[0] : 256 + Array.IndexOf(s_special, token);

    /// <summary>The id of the word at an index.</summary>
    public static int Word(int index) => 256 + s_special.Length + index;

    /// <summary>A table that writes tokens one after another, all different.</summary>
    public static Dictionary<int, int> Chain(params string[] tokens) => tokens.Zip(tokens[1..]).ToDictionary(pair => Id(pair.First), pair => Id(pair.Second));

    /// <summary>A file of its folder.</summary>
    public string In(string name) => folder.File(name);

    /// <summary>Deletes it.</summary>
    public void Dispose() => folder.Dispose();

    private int Vocabulary => (Word(words.Length) + Eights - 1) / Eights * Eights;

    private string TokenizerJson()
    {
        var vocabulary = new JsonObject();
        for (int b = 0; b < 256; b++)
            vocabulary[ByteAlphabet.ToChar((byte)b).ToString()] = b;
        var added = new JsonArray([.. s_special.Select(s => new JsonObject { ["id"] = Id(s), ["content"] = s, ["special"] = true, ["normalized"] = false })]);
        for (int w = 0; w < words.Length; w++)
            added.Add(new JsonObject { ["id"] = Word(w), ["content"] = words[w], ["special"] = false, ["normalized"] = false });
        return new JsonObject
        {
            ["added_tokens"] = added,
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["use_regex"] = true },
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel" },
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray() },
        }.ToJsonString();
    }

    private void WriteTensors(IReadOnlyDictionary<int, int> next)
    {
        TensorDeclaration[] tensors = [.. ModelConfig.Load(Path).Tensors.All().Select(t => new TensorDeclaration(t.Name, TensorType.F32, t.Shape))];
        using var writer = new CheckpointWriter(Path, tensors);
        foreach (var tensor in tensors)
        {
            float[] values = new float[tensor.Shape.Aggregate(1L, (product, length) => product * length)];
            if (tensor.Shape.Length == 1)
                values.AsSpan().Fill(1);
            // The last norm makes a one-hot state √width large.
            for (int id = 0; id < Vocabulary; id++)
            {
                if (tensor.Name == "model.embed_tokens.weight")
                    values[id * Vocabulary + id] = 1;
                else if (tensor.Name == "lm_head.weight")
                    values[next.GetValueOrDefault(id) * Vocabulary + id] = Logit / MathF.Sqrt(Vocabulary);
            }

            writer.AppendBytes(tensor.Name, MemoryMarshal.AsBytes<float>(values));
        }

        writer.Commit();
    }
}
