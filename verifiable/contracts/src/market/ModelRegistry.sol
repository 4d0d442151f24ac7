// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IErc7992} from "../adapters/IErc7992.sol";
import {IErc7992Registry} from "../adapters/IErc7992Registry.sol";
import {IModelRegistry, ModelVersion} from "./IModelRegistry.sol";

/// @title A list of models that their owners describe
contract ModelRegistry is IModelRegistry {
    struct Model {
        address owner;
        bool deprecated;
        ModelVersion[] versions;
    }

    /// @inheritdoc IModelRegistry
    mapping(address owner => uint256) public modelsOf;
    mapping(uint256 modelId => Model) private _models;

    /// @inheritdoc IModelRegistry
    function register(ModelVersion calldata version) external returns (uint256 modelId) {
        return _register(version);
    }

    /// @inheritdoc IErc7992Registry
    /// @dev A model without root or verifier: the ERC knows neither.
    /// @custom:reverts VersionIncomplete unless it is of an ONNX file alone.
    function registerModel(IErc7992.ModelCommitment calldata commitment)
        external
        returns (uint256 modelId)
    {
        return _register(ModelVersion(commitment, 0, address(0)));
    }

    /// @inheritdoc IModelRegistry
    function addVersion(uint256 modelId, ModelVersion calldata version) external {
        _update(modelId, version);
    }

    /// @inheritdoc IErc7992Registry
    /// @dev A version without root or verifier, as in `registerModel`: those of the last version are
    /// of another file.
    /// @custom:reverts ModelNotFound, NotModelOwner, ModelRetired or VersionIncomplete.
    function updateModel(uint256 modelId, IErc7992.ModelCommitment calldata newCommitment)
        external
    {
        _update(modelId, ModelVersion(newCommitment, 0, address(0)));
    }

    /// @inheritdoc IErc7992Registry
    /// @custom:reverts ModelNotFound, NotModelOwner, or ModelRetired if it is already.
    function deprecateModel(uint256 modelId) external {
        Model storage model = _owned(modelId);
        model.deprecated = true;
        emit ModelDeprecated(modelId);
    }

    /// @inheritdoc IErc7992Registry
    /// @custom:reverts ModelNotFound if there is none of that id.
    function getModel(uint256 modelId)
        external
        view
        returns (IErc7992.ModelCommitment memory commitment, bool deprecated, address owner)
    {
        Model storage model = _model(modelId);
        return (_current(modelId).commitment, model.deprecated, model.owner);
    }

    /// @inheritdoc IModelRegistry
    function versionCount(uint256 modelId) external view returns (uint256) {
        return _model(modelId).versions.length;
    }

    /// @inheritdoc IModelRegistry
    function versionIdOf(uint256 modelId, uint256 version) external view returns (bytes32) {
        return keccak256(abi.encode(getVersion(modelId, version)));
    }

    /// @notice ERC-165.
    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 || id == type(IErc7992Registry).interfaceId
            || id == type(IModelRegistry).interfaceId;
    }

    /// @inheritdoc IModelRegistry
    function getVersion(uint256 modelId, uint256 version)
        public
        view
        returns (ModelVersion memory)
    {
        Model storage model = _model(modelId);
        if (version >= model.versions.length) revert VersionNotFound(modelId, version);
        return model.versions[version];
    }

    /// @inheritdoc IModelRegistry
    function modelIdOf(address owner, uint256 n) public view returns (uint256) {
        return uint256(keccak256(abi.encode(block.chainid, address(this), owner, n)));
    }

    function _register(ModelVersion memory version) private returns (uint256 modelId) {
        modelId = modelIdOf(msg.sender, modelsOf[msg.sender]++);
        _models[modelId].owner = msg.sender;
        emit ModelRegistered(modelId, msg.sender, version.commitment);
        _append(modelId, version);
    }

    function _update(uint256 modelId, ModelVersion memory version) private {
        _owned(modelId);
        emit ModelUpdated(modelId, _current(modelId).commitment, version.commitment);
        _append(modelId, version);
    }

    function _append(uint256 modelId, ModelVersion memory version) private {
        IErc7992.ModelCommitment memory c = version.commitment;
        bool proven = c.proofSystemId != 0;
        if (
            c.modelHash == 0 || (c.circuitHash != 0) != proven || (c.vkHash != 0) != proven
                || (version.verifier != address(0) && !proven)
        ) revert VersionIncomplete();
        Model storage model = _models[modelId];
        emit VersionAdded(modelId, model.versions.length, version.root, version.verifier);
        model.versions.push(version);
    }

    function _current(uint256 modelId) private view returns (ModelVersion memory) {
        ModelVersion[] storage versions = _model(modelId).versions;
        return versions[versions.length - 1];
    }

    function _model(uint256 modelId) private view returns (Model storage model) {
        model = _models[modelId];
        if (model.owner == address(0)) revert ModelNotFound(modelId);
    }

    function _owned(uint256 modelId) private view returns (Model storage model) {
        model = _model(modelId);
        if (model.owner != msg.sender) revert NotModelOwner(modelId, msg.sender);
        if (model.deprecated) revert ModelRetired(modelId);
    }
}
