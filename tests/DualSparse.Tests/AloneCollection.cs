namespace DualSparse.Tests;

/// <summary>Tests of what the whole process shares, its memory and its console: no other runs beside them.</summary>
[CollectionDefinition("alone", DisableParallelization = true)]
public class AloneCollection;
