using DualSparse.Engine;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Models.Text;
using DualSparse.Tests.Cli;

namespace DualSparse.Tests.Models.Folders;

/// <summary>What a folder is is said before any of it is parsed, with the way to a folder that can be read.</summary>
public class ModelPathTests
{
    [Theory]
    [InlineData("", "the folder is empty: fetch the model's files into it")]
    [InlineData("adapter_config.json={\"base_model_name_or_path\":\"org/base\"} adapter_model.safetensors", "it is an adapter (PEFT) of org/base, not a whole model: merge it into its base model first")]
    [InlineData("adapter_config.json=?", "it is an adapter (PEFT), not a whole model")]
    [InlineData("model_index.json unet/config.json", "it is a pipeline of diffusers")]
    [InlineData("params.json consolidated.00.pth tokenizer.model", "in their first publisher's own layout ('params.json', 'consolidated.00.pth')")]
    [InlineData("params.json consolidated.safetensors tekken.json", "in their first publisher's own layout")]
    [InlineData("latest zero_to_fp32.py global_step500/mp_rank_00_model_states.pt", "it is a checkpoint of a training run ('global_step500')")]
    [InlineData("model-q4.gguf", "it has GGUF files ('model-q4.gguf')")]
    [InlineData("pytorch_model.bin", "it has weights as PyTorch pickles them ('pytorch_model.bin')")]
    [InlineData("optimizer.pt rng_state_0.pth weights.bin", "as PyTorch pickles them ('weights.bin')")]
    [InlineData("optimizer.pt rng_state_0.pth trainer_state.json", "it has the state of a training run ('optimizer.pt') and no weights")]
    [InlineData("model.pt", "as PyTorch pickles them ('model.pt')")]
    [InlineData("onnx/model.onnx", "it has the model for ONNX Runtime ('onnx')")]
    [InlineData("model.onnx model.onnx.data", "it has the model for ONNX Runtime ('model.onnx')")]
    [InlineData("flax_model.msgpack", "in a format that isn't read ('flax_model.msgpack')")]
    [InlineData("models--a--b/refs/main", "it is a hub's cache: give one of its models, such as {0}models--a--b")]
    [InlineData("run/config.json notes.txt", "'run' inside has one: give {0}run")]
    [InlineData("checkpoint-1/config.json checkpoint-2/config.json", "2 folders inside have one: give one of them, such as {0}checkpoint-1")]
    [InlineData("model.safetensors", "it has weights ('model.safetensors') but no config.json")]
    [InlineData("tokenizer.json tokenizer_config.json", "it has a tokenizer ('tokenizer.json') but no config.json and no weights")]
    [InlineData("model.safetensors.incomplete", "the download stopped midway")]
    [InlineData(".cache/huggingface/download/x.incomplete README.md", "the download stopped midway")]
    [InlineData("README.md", "there is no config.json: give a folder that has config.json")]
    public void A_folder_that_is_no_models_says_what_it_is(string files, string expected)
    {
        using var folder = Folder(files);
        expected = string.Format(expected.Replace("{\"", "{{\"", StringComparison.Ordinal), folder.Path + Path.DirectorySeparatorChar);
        string message = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message;
        Assert.StartsWith($"{folder.Path}: ", message);
        Assert.Contains(expected, message);
        // Every door says the same.
        Assert.Equal(message, Assert.Throws<ModelFormatException>(() => ModelConfig.Load(folder.Path)).Message);
        Assert.Equal(message, Assert.Throws<ModelFormatException>(() => MoeModel.Load(folder.Path)).Message);
        Assert.Equal($"dualsparse: {message}", CommandRun.Mistake("inspect", folder.Path));
    }

    [Theory]
    [InlineData("pytorch_model-00001-of-00002.bin pytorch_model.bin.index.json", "as PyTorch pickles them ('pytorch_model-00001-of-00002.bin')")]
    [InlineData("model.gguf", "it has GGUF files")]
    [InlineData("consolidated.safetensors", "of weights it has only 'consolidated.safetensors'")]
    [InlineData("consolidated.safetensors params.json", "in their first publisher's own layout")]
    [InlineData("adapter_config.json={} adapter_model.safetensors", "it is an adapter")]
    [InlineData("model-00001-of-00002.safetensors", "it has 'model-00001-of-00002.safetensors' but no 'model.safetensors.index.json'")]
    [InlineData("olmoe.safetensors", "only 'olmoe.safetensors': rename it to model.safetensors")]
    [InlineData("", "neither a 'model.safetensors' nor a 'model.safetensors.index.json': fetch the weights too")]
    public void A_folder_with_a_configuration_and_no_weights_says_what_it_has(string files, string expected)
    {
        using var folder = Folder(files);
        File.Copy(TestPaths.Golden("olmoe", "config.json"), folder.File("config.json"));
        string message = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message;
        Assert.StartsWith($"{folder.Path}: ", message);
        Assert.Contains(expected, message);
    }

    [Fact]
    public void Missing_shards_are_counted()
    {
        using var folder = TemporaryFolder.CopyOf("mixtral");
        File.Delete(folder.File("model-00002-of-00004.safetensors"));
        Assert.EndsWith("it names the file 'model-00002-of-00004.safetensors', which is missing, of 4: the download isn't complete; run it again", Message());
        File.Delete(folder.File("model-00004-of-00004.safetensors"));
        Assert.Contains("it names 2 files that are missing, 'model-00002-of-00004.safetensors' first, of 4: the download isn't complete", Message());
        Directory.CreateDirectory(folder.File(".cache/huggingface/download"));
        File.WriteAllText(folder.File(".cache/huggingface/download/abc.incomplete"), "");
        Assert.Contains("of 4: the download stopped midway; run it again", Message());
        if (OperatingSystem.IsWindows())
            return;
        File.CreateSymbolicLink(folder.File("model-00002-of-00004.safetensors"), "../../blobs/0");
        Assert.Contains("of 4: the link leads nowhere", Message());

        string Message() => Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message;
    }

    [Theory]
    [InlineData("tokenizer.model", "of the tokenizer there is only SentencePiece's 'tokenizer.model': make tokenizer.json with transformers")]
    [InlineData("vocab.json merges.txt", "of the tokenizer there is only 'vocab.json': make tokenizer.json")]
    [InlineData("tekken.json", "of the tokenizer there is only 'tekken.json'")]
    [InlineData("README.md", "there is no tokenizer.json: fetch it")]
    public void A_folder_without_tokenizer_json_says_what_it_has(string files, string expected)
    {
        using var folder = Folder(files);
        string message = Assert.Throws<ModelFormatException>(() => Tokenizer.Load(folder.Path)).Message;
        Assert.StartsWith($"{folder.Path}: ", message);
        Assert.Contains(expected, message);
    }

    [Fact]
    public void A_hubs_cache_folder_leads_to_its_snapshot()
    {
        using var folder = new TemporaryFolder();
        string model = folder.File("models--org--name"), first = Path.Combine(model, "snapshots", "abc"), second = Path.Combine(model, "snapshots", "def");
        Directory.CreateDirectory(Path.Combine(model, "snapshots"));
        Assert.Contains("holds no snapshot: download the model again", Assert.Throws<ModelFormatException>(() => Checkpoint.Open(model)).Message);
        CopyModel(first);
        Same(first);
        Directory.CreateDirectory(second);
        Assert.Contains($"holds 2 snapshots and 'refs/main' names none of them: give one, such as {first}", Assert.Throws<ModelFormatException>(() => Checkpoint.Open(model)).Message);
        Directory.CreateDirectory(Path.Combine(model, "refs"));
        File.WriteAllText(Path.Combine(model, "refs", "main"), "abc\n");
        Same(first);
        File.WriteAllText(Path.Combine(model, "refs", "main"), "def");
        Assert.StartsWith($"{second}: the folder is empty", Assert.Throws<ModelFormatException>(() => Checkpoint.Open(model)).Message);

        void Same(string snapshot)
        {
            using (var checkpoint = Checkpoint.Open(model))
                Assert.Equal(snapshot, checkpoint.Folder);
            Assert.Equal(64, ModelConfig.Load(model).HiddenSize);
            Assert.Equal(0, CommandRun.Of("inspect", model).Code);
            Assert.Equal(0, CommandRun.Of("verify", model, "--weights", "f32").Code);
        }

        // As the hub's client keeps them: links to files of other names.
        void CopyModel(string to)
        {
            Directory.CreateDirectory(to);
            string blobs = Directory.CreateDirectory(Path.Combine(model, "blobs")).FullName;
            foreach (string file in Directory.EnumerateFiles(TestPaths.Golden("olmoe")))
            {
                string blob = Path.Combine(blobs, Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file))));
                File.Copy(file, blob);
                if (OperatingSystem.IsWindows())
                    File.Copy(blob, Path.Combine(to, Path.GetFileName(file)));
                else
                    File.CreateSymbolicLink(Path.Combine(to, Path.GetFileName(file)), Path.GetRelativePath(to, blob));
            }
        }
    }

    [Fact]
    public void A_path_that_is_no_folder_says_what_to_give()
    {
        string config = TestPaths.Golden("olmoe", "config.json"), weights = TestPaths.Golden("olmoe", "model.safetensors");
        foreach (string file in new[] { config, weights })
            Assert.Equal($"dualsparse: {file} is a file of a model: give its folder, {TestPaths.Golden("olmoe")}", CommandRun.Mistake("inspect", file));
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("model.gguf"), "GGUF");
        File.WriteAllText(folder.File("a.txt"), "");
        Assert.Contains("model.gguf is a GGUF file, which isn't read", CommandRun.Mistake("inspect", folder.File("model.gguf")));
        Assert.Contains("a.txt is a file: give the folder that has config.json", CommandRun.Mistake("inspect", folder.File("a.txt")));
        Assert.Contains("org/name: there is no such folder", CommandRun.Mistake("inspect", "org/name"));
        Assert.Contains("hf download org/name --local-dir FOLDER", CommandRun.Mistake("inspect", "org/name"));
        Assert.Contains("there is no such folder", Assert.Throws<ModelFormatException>(() => MoeModel.Load(folder.File("none"))).Message);
    }

    [Fact]
    public void A_configuration_that_is_a_dead_link_is_said_so()
    {
        if (OperatingSystem.IsWindows())
            return;
        using var folder = new TemporaryFolder();
        File.CreateSymbolicLink(folder.File("config.json"), "../blobs/0");
        Assert.Contains("its config.json is a link that leads nowhere", Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message);
    }

    // As a hub's cache is left by an interrupted download, or by copying the snapshot alone.
    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("tokenizer.json")]
    [InlineData("tokenizer_config.json")]
    [InlineData("generation_config.json")]
    public void A_dead_link_is_never_passed_over(string name)
    {
        if (OperatingSystem.IsWindows())
            return;
        using var folder = TemporaryFolder.CopyOf(TestPaths.Model);
        File.Delete(folder.File(name));
        File.CreateSymbolicLink(folder.File(name), "../blobs/0");
        string message = CommandRun.Mistake("generate", "a", "--model", folder.Path);
        Assert.Contains(name, message);
        Assert.Contains("a link that leads nowhere", message);
    }

    // Names between blanks, behind = what a file holds.
    private static TemporaryFolder Folder(string files)
    {
        var folder = new TemporaryFolder();
        foreach (string file in files.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = file.Split('=', 2);
            Directory.CreateDirectory(Path.GetDirectoryName(folder.File(parts[0]))!);
            File.WriteAllText(folder.File(parts[0]), parts is [_, var content] ? content : "x");
        }

        return folder;
    }
}
